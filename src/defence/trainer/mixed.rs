//! Adversarial training against a mix of attacks, one a batch, the mix refreshed as training goes on: after each epoch an attack is drawn in
//! proportion to the share of examples that it broke, so that what the network has learnt to withstand comes less often.

use burn::tensor::Tensor;

use super::method::{Learner, Lesson, Loss, Method, Review};
use super::{EPSILON, Inner, Kept, NORM, STEPS, Threatened, TrainerRow, inner, threat};
use crate::Result;
use crate::attack::ATTACKS;
use crate::defence::training::recipe::options;
use crate::evaluate::record::{Epoch, Event};
use crate::kernel::random::{philox, unit};
use crate::model::Classifier;
use crate::options::{Accepts, Entry, OptionSpec, Value};

/// Sets the choice's draws apart.
const STREAM: u32 = 0x6d69_7865;

/// What every attack's share is at least, before they are made to add up to one: none is forgotten.
const FLOOR: f64 = 0.05;

/// The attacks of the table that follow a gradient to a point of a given ball.
const KINDS: &[&str] = &["fgsm", "mi-fgsm", "pgd", "apgd"];

pub(super) const ROW: TrainerRow = TrainerRow {
    entry: Entry {
        name: "mixed",
        summary: "cross-entropy on examples of several attacks, those that break more drawn more often",
        options: options![
            OptionSpec {
                name: "attacks",
                accepts: Accepts::Names(KINDS),
                default: Some("[\"fgsm\", \"mi-fgsm\", \"pgd\"]"),
                help: "the attacks to draw from, one a batch",
            },
            NORM,
            EPSILON,
            OptionSpec { help: "gradient steps of those attacks that take several", ..STEPS },
            OptionSpec {
                name: "refresh",
                accepts: Accepts::Flag,
                default: Some("true"),
                help: "draw in proportion to what each attack broke in the epoch before; otherwise all alike",
            },
        ],
    },
    rule: |options| match options.names("attacks") {
        Some([]) => Err("`attacks` is empty: name one at least".into()),
        _ => Ok(()),
    },
    fits: |_| Ok(()),
    build: |options, ground| {
        let threat = threat(options);
        let steps = options.integer("steps").unwrap_or(7);
        let kinds: Vec<&str> = options.names("attacks").unwrap_or_default().iter().map(String::as_str).collect();
        let built = |kind: &&str| {
            let takes =
                |name| ATTACKS.iter().any(|row| row.entry.name == *kind && row.entry.options.iter().any(|option| option.name == name));
            let mut given = Vec::new();
            if takes("steps") {
                given.push(("steps", Value::Integer(steps)));
            }
            if takes("stop") {
                given.push(("stop", Value::Text("last".into())));
            }
            inner(kind, given, threat, ground.shape, ground.classes)
        };
        Box::new(Mixed {
            attacks: kinds.iter().map(built).collect(),
            threat,
            refresh: options.flag("refresh").unwrap_or(true),
            shares: vec![1.0 / kinds.len() as f64; kinds.len()],
            met: vec![(0, 0); kinds.len()],
            drawn: 0,
        })
    },
};

struct Mixed {
    attacks: Vec<Inner>,
    threat: Threatened,
    refresh: bool,
    /// Probability of each attack.
    shares: Vec<f64>,
    /// Examples broken, and examples met, by each attack in this epoch.
    met: Vec<(usize, usize)>,
    /// The attack of the step under way.
    drawn: usize,
}

impl Method for Mixed {
    fn threats(&self) -> Vec<Threatened> {
        vec![self.threat]
    }

    fn inputs(&mut self, lesson: &Lesson) -> Result<Tensor<2>> {
        let word = philox([0, lesson.epoch, 0, lesson.batch.examples[0]], [lesson.key[0] ^ STREAM, lesson.key[1]])[0];
        let mut left = f64::from(unit(word));
        let drawn = self.shares.iter().position(|share| {
            left -= share;
            left < 0.0
        });
        let drawn = drawn.unwrap_or(self.shares.len() - 1);
        self.drawn = drawn;
        Ok(lesson.craft(&self.attacks[drawn], [lesson.key[0], lesson.key[1].wrapping_add(drawn as u32)]))
    }

    fn loss(&mut self, learner: &mut Learner, lesson: &Lesson, inputs: &Tensor<2>) -> Result<Loss> {
        let logits = learner.logits(inputs.clone());
        let robust = lesson.right(&logits)?;
        let (broken, met) = &mut self.met[self.drawn];
        *broken += robust.iter().filter(|&&right| !right).count();
        *met += robust.len();
        Ok(Loss { clean: None, robust, loss: lesson.cross_entropy(logits) })
    }

    fn after_epoch(&mut self, _review: &Review, _epoch: &mut Epoch) -> Result<Option<Event>> {
        if self.refresh {
            // An attack that was not drawn keeps its share.
            let broke = self.met.iter().zip(&self.shares);
            let broke = broke.map(|(&(broken, met), &share)| if met > 0 { broken as f64 / met as f64 } else { share });
            let floored: Vec<f64> = broke.map(|share| share.max(FLOOR)).collect();
            let sum: f64 = floored.iter().sum();
            self.shares = floored.into_iter().map(|share| share / sum).collect();
        }
        self.met.fill((0, 0));
        Ok(None)
    }

    fn save(&self, kept: &mut Kept) -> Result<()> {
        let bits: Vec<u64> = self.shares.iter().map(|share| share.to_bits()).collect();
        kept.put("mixed.shares", &bits);
        Ok(())
    }

    fn restore(&mut self, kept: &Kept, _blank: &Classifier) -> Result<()> {
        let bits: Vec<u64> = kept.get("mixed.shares")?;
        self.shares = bits.into_iter().map(f64::from_bits).collect();
        Ok(())
    }
}
