//! Files made of good ones: bytes, sections and lengths changed, taken from elsewhere, twice or away. The sections of
//! what comes out have the lengths that they say, mostly, so that a change reaches what is inside them.

/// Numbers that are the same for the same seed (xorshift, Marsaglia 2003).
pub(crate) struct Numbers(u64);

impl Numbers {
    pub(crate) fn new(seed: u64) -> Numbers {
        // So that neighbouring seeds have nothing in common (SplitMix64, Steele and others 2014); never 0.
        let mixed = (seed.wrapping_add(0x9e37_79b9_7f4a_7c15) ^ (seed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        Numbers(mixed | 1)
    }

    /// One of 0 to `end`, which is not among them.
    pub(crate) fn below(&mut self, end: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 % (end.max(1) as u64)) as usize
    }

    fn byte(&mut self) -> u8 {
        // Ends of ranges, and what begins and continues a number.
        const ODD: [u8; 8] = [0, 1, 0x7f, 0x80, 0xff, 0x40, 0x41, 0x0b];
        if self.below(2) == 0 { ODD[self.below(ODD.len())] } else { self.below(256) as u8 }
    }
}

/// One of `goods` with up to eight changes.
pub(crate) fn mutate(numbers: &mut Numbers, goods: &[Vec<u8>]) -> Vec<u8> {
    let good = &goods[numbers.below(goods.len())];
    let mut sections = sections(good);
    for _ in 0..=numbers.below(8) {
        let place = numbers.below(sections.len());
        match numbers.below(12) {
            0 => drop(sections.remove(place)),
            1 => sections.insert(place, sections[place].clone()),
            2 => {
                let other = numbers.below(sections.len());
                sections.swap(place, other);
            }
            3 => {
                let other = self::sections(&goods[numbers.below(goods.len())]);
                sections.insert(place, other[numbers.below(other.len())].clone());
            }
            4 => sections[place].0 = numbers.below(14) as u8,
            _ => change(numbers, &mut sections[place].1),
        }
        if sections.is_empty() {
            sections.push((0, Vec::new()));
        }
    }
    let mut file = good[..8].to_vec();
    for (id, content) in sections {
        file.push(id);
        file.extend(length(content.len()));
        file.extend(content);
    }
    if numbers.below(8) == 0 {
        change(numbers, &mut file);
    }
    file
}

/// One change of bytes.
fn change(numbers: &mut Numbers, bytes: &mut Vec<u8>) {
    let place = numbers.below(bytes.len());
    let end = (place + 1 + numbers.below(16)).min(bytes.len());
    match numbers.below(7) {
        _ if bytes.is_empty() => bytes.push(numbers.byte()),
        0 => bytes[place] ^= 1 << numbers.below(8),
        1 | 2 => bytes[place] = numbers.byte(),
        3 => drop(bytes.drain(place..end)),
        4 => bytes.insert(place, numbers.byte()),
        5 => {
            // A number as large as there are, and one a little smaller.
            let large = [0xff, 0xff, 0xff, 0xff, if numbers.below(2) == 0 { 0x0f } else { 0x07 }];
            bytes.splice(place..=place, large).for_each(drop);
        }
        _ => {
            let again = bytes[place..end].to_vec();
            bytes.splice(place..place, again).for_each(drop);
        }
    }
}

/// The sections of a good file: what each is, and what it holds.
fn sections(file: &[u8]) -> Vec<(u8, Vec<u8>)> {
    let mut sections = Vec::new();
    let mut rest = &file[8..];
    while let [id, after @ ..] = rest {
        let bytes = after.iter().take_while(|byte| **byte >= 0x80).count() + 1;
        let length = after[..bytes].iter().rev().fold(0_usize, |length, byte| (length << 7) | usize::from(byte & 0x7f));
        sections.push((*id, after[bytes..bytes + length].to_vec()));
        rest = &after[bytes + length..];
    }
    sections
}

/// A length as WebAssembly writes it (LEB128).
fn length(mut number: usize) -> Vec<u8> {
    let mut bytes = Vec::new();
    while number >= 0x80 {
        bytes.push(number as u8 | 0x80);
        number >>= 7;
    }
    bytes.push(number as u8);
    bytes
}
