//! What a customer means who answers a message with a single word.

use unicode_normalization::UnicodeNormalization as _;
use unicode_normalization::char::is_combining_mark;

/// What a short answer to a message asks for.
///
/// ```
/// use crm_core::consent::Reply;
///
/// assert_eq!(Reply::of(" Stop!! 🛑"), Some(Reply::Stop));
/// assert_eq!(Reply::of("Arrêt"), Some(Reply::Stop));
/// assert_eq!(Reply::of("opt-out"), Some(Reply::Stop));
/// assert_eq!(Reply::of("Don't stop sending these"), None);
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Reply {
    /// No more messages of this kind.
    Stop,
    /// Messages again, after a stop. It proves no consent by itself: it says that somebody wishes to be asked.
    Start,
    /// Who this is, and how to stop it.
    Help,
}

/// Words for each, as they come out of [`folded`]. The English ones for a stop are those that a sender has to take in the
/// United States (47 CFR 64.1200(a)(10)) and those that carriers take besides (CTIA, Messaging Principles and Best
/// Practices, 5.1.3); the others are their usual counterparts.
const STOP: &[&str] = &[
    // English
    "stop",
    "stopall",
    "quit",
    "end",
    "revoke",
    "optout",
    "cancel",
    "unsubscribe",
    "remove",
    // German, Dutch, Danish, Norwegian, Swedish
    "stopp",
    "abmelden",
    "abbestellen",
    "afmelden",
    "afmeld",
    "avmeld",
    "avsluta",
    // French, Italian, Spanish, Portuguese, Romanian
    "arret",
    "arreter",
    "desabonner",
    "desinscrire",
    "basta",
    "ferma",
    "annulla",
    "disiscrivi",
    "alto",
    "parar",
    "baja",
    "cancelar",
    "pare",
    "sair",
    "oprire",
    "dezabonare",
    // Polish, Czech, Hungarian, Turkish
    "wypisz",
    "rezygnuje",
    "odhlasit",
    "leiratkozas",
    "iptal",
    "ret",
    // Greek, Russian, Ukrainian
    "στοπ",
    "стоп",
    "отписаться",
    "відписатися",
    // Arabic, Hebrew, Hindi
    "ايقاف",
    "توقف",
    "الغاء",
    "הסר",
    "עצור",
    "रोकें",
    "बंद",
    // Chinese, Japanese, Korean
    "退订",
    "退訂",
    "停止",
    "取消",
    "td",
    "解除",
    "配信停止",
    "수신거부",
    "중지",
    "거부",
];
const START: &[&str] = &["start", "unstop", "subscribe", "resume", "старт", "订阅", "開始", "시작"];
const HELP: &[&str] =
    &["help", "info", "hilfe", "aide", "ayuda", "aiuto", "ajuda", "помощь", "帮助", "ヘルプ", "도움말"];

/// The longest answer that is looked at, in characters. Whoever writes more says more than one of these words.
const CHARACTERS_MAX: usize = 160;

impl Reply {
    /// What an answer asks for, in whatever case, width, punctuation, spacing and emoji it comes: none if it is more
    /// than one of the words that are known, said once or several times.
    ///
    /// Costs a pass over the text, of which at most 160 characters are looked at.
    #[must_use]
    pub fn of(text: &str) -> Option<Reply> {
        if text.chars().nth(CHARACTERS_MAX).is_some() {
            return None;
        }
        let words: Vec<String> = text.split(char::is_whitespace).map(folded).filter(|word| !word.is_empty()).collect();
        let joined = words.concat();
        let one = words.first().filter(|first| words.iter().all(|word| word == *first)).unwrap_or(&joined);
        let is_among = |known: &[&str]| known.iter().any(|known| folded(known) == *one || folded(known) == joined);
        [(Reply::Stop, STOP), (Reply::Start, START), (Reply::Help, HELP)]
            .into_iter()
            .find_map(|(reply, known)| is_among(known).then_some(reply))
    }
}

/// Letters and digits alone, in lower case, without marks, in the plain width.
fn folded(word: &str) -> String {
    let plain = |character: &char| character.is_alphanumeric() && !is_combining_mark(*character);
    word.nfkd().flat_map(char::to_lowercase).nfkd().filter(plain).collect()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_stop_is_one_however_it_is_written() {
        for text in [
            "STOP",
            "stop",
            "Stop.",
            "stop!",
            "«Stop»",
            "  stop\r\n",
            "S T O P",
            "STOP STOP STOP",
            "ＳＴＯＰ",
            "🛑 stop 🙏",
            "st\u{200d}op",
            "\u{202e}stop",
            "Stop All",
            "opt out",
            "OPT-OUT",
            "unsubscribe",
            "arrêt",
            "ARRET",
            "Désabonner",
            "İPTAL",
            "iptal",
            "ΣΤΟΠ",
            "стоп",
            "إيقاف",
            "הסר",
            "退订",
            "TD",
            "配信停止",
            "수신거부",
            "रोकें",
        ] {
            assert_eq!(Reply::of(text), Some(Reply::Stop), "{text}");
        }
    }

    #[test]
    fn what_says_more_or_else_is_none() {
        let long = "stop ".repeat(100);
        for text in [
            "",
            "   ",
            "🛑",
            "don't stop",
            "at the bus stop",
            "stopover",
            "end of May is fine",
            "1",
            "yes",
            "\0",
            &long,
        ] {
            assert_eq!(Reply::of(text), None, "{text}");
        }
        assert_eq!((Reply::of("Start"), Reply::of("HELP?")), (Some(Reply::Start), Some(Reply::Help)));
    }

    #[test]
    fn each_word_asks_for_one_thing() {
        let all: Vec<String> = [STOP, START, HELP].concat().into_iter().map(folded).collect();
        let unlike: std::collections::BTreeSet<&String> = all.iter().collect();
        assert_eq!(unlike.len(), all.len());
        assert!(all.iter().all(|word| !word.is_empty()));
    }

    proptest! {
        #[test]
        fn what_is_around_a_word_and_its_case_change_nothing(
            word in prop::sample::select(STOP),
            before in "[ .!,;:'\"()🛑🙏\u{200d}\t-]{0,10}",
            after in "[ .!,;:'\"()🛑🙏\u{200d}\n-]{0,10}",
            upper in any::<bool>(),
        ) {
            let word = if upper { word.to_uppercase() } else { word.to_owned() };
            prop_assert_eq!(Reply::of(&format!("{before}{word}{after}")), Some(Reply::Stop));
        }

        #[test]
        fn any_text_is_answered(text in any::<String>()) {
            let _ = Reply::of(&text);
        }
    }
}
