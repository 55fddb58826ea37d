//! Mixed precision: attacks search in half precision, and every verdict is judged in single.
//!
//! Under [`Precision::Mixed`] a defence has its networks a second time, weights and activations of 16 bits (IEEE binary16), and the
//! attacks that need no more ([`Attack::searches_in_half`](crate::attack::Attack::searches_in_half)) step on those. Wrappers, logits,
//! losses and the attacks' own kernels stay in single precision, and so does the judge. What half precision says of a row is therefore a
//! suggestion, and each way a row can end has an answer:
//! - a claimed break is judged as every claim is. If the judge refuses it, the row was near a boundary that half precision cannot see, and
//!   it is run again from its start in single precision ([`Word::Again`](super::chain::Word::Again)): the refusal is not counted as a
//!   survival, and the outcome is the one that single precision comes to;
//! - a number that is not finite is no failure of the defence, since half precision ends at 65,504: the row is run again likewise;
//! - a row that ran out of steps hands in its last point all the same, in case only half precision held it for unbroken. If the judge finds
//!   it broken, it is; else the row has survived, as after any search by an approximate gradient. It is not run again: survivors are where
//!   the steps go, and running them twice would make mixed precision the slower one. Whether the curves agree is what
//!   `gauntlet compare` is for.
//!
//! A chain waits for the judge's word on its last point before it goes on, so that outcomes do not depend on when the judge speaks. A
//! survival that a descending sweep infers from is audited in single precision throughout.
//!
//! Gradients: a confident example's loss has gradients far under 2^-24, where half precision ends, and rows of one batch differ by many
//! orders of magnitude. Each row's gradient with respect to the logits is therefore multiplied by a power of two of its own before it
//! enters the network ([`loss_scale`](crate::kernel::loss_scale()); Micikevicius et al. 2018, "Mixed Precision Training", section 3.2,
//! have one scale for all) and what comes out is divided by it: exact, because a row's gradient is linear in what went in and does not
//! depend on other rows.

use serde::{Deserialize, Serialize};

/// In which precision attacks search. Verdicts are judged in single precision in any case.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum Precision {
    /// Single precision throughout.
    #[default]
    #[serde(rename = "f32")]
    Single,
    /// Half precision where an attack needs no more.
    #[serde(rename = "mixed")]
    Mixed,
}

impl Precision {
    /// All of them.
    pub const ALL: [Precision; 2] = [Precision::Single, Precision::Mixed];

    /// The name in suites and results.
    pub fn name(self) -> &'static str {
        match self {
            Precision::Single => "f32",
            Precision::Mixed => "mixed",
        }
    }

    /// Whether everything is in single precision.
    pub fn is_single(&self) -> bool {
        *self == Precision::Single
    }
}
