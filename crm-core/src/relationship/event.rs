//! Facts about ties. Each is written twice, once for either side.

use serde::{Deserialize, Serialize};

use super::{Direction, Strength, TieError, TieKind};
use crate::id::CustomerId;

/// The customer is tied to another one, from the event's time on.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Tied {
    /// To whom.
    pub other: CustomerId,
    /// In which way.
    pub kind: TieKind,
    /// Which side this customer is.
    pub direction: Direction,
    /// How strongly.
    pub strength: Strength,
}

/// The tie to another customer has ended, at the event's time.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Untied {
    /// To whom.
    pub other: CustomerId,
    /// In which way.
    pub kind: TieKind,
    /// Which side this customer is.
    pub direction: Direction,
}

/// A tie as a host tells of it: `from` referred, works for, follows or manages `to`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Tie {
    /// From whom. For a mutual kind either side may be here.
    pub from: CustomerId,
    /// To whom.
    pub to: CustomerId,
    /// In which way.
    pub kind: TieKind,
    /// How strongly.
    pub strength: Strength,
}

/// The end of a tie as a host tells of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Untie {
    /// From whom. For a mutual kind either side may be here.
    pub from: CustomerId,
    /// To whom.
    pub to: CustomerId,
    /// In which way.
    pub kind: TieKind,
}

impl Tie {
    /// The facts of `from` and of `to`.
    ///
    /// # Errors
    ///
    /// `WithThemself` if both are one customer.
    pub fn sides(&self) -> Result<[Tied; 2], TieError> {
        let sides = self.kind.sides(self.from, self.to)?;
        let Tie { kind, strength, .. } = self;
        Ok(sides.map(|(other, direction)| Tied { other, kind: kind.clone(), direction, strength: *strength }))
    }
}

impl Untie {
    /// The facts of `from` and of `to`.
    ///
    /// # Errors
    ///
    /// `WithThemself` if both are one customer.
    pub fn sides(&self) -> Result<[Untied; 2], TieError> {
        let sides = self.kind.sides(self.from, self.to)?;
        Ok(sides.map(|(other, direction)| Untied { other, kind: self.kind.clone(), direction }))
    }
}
