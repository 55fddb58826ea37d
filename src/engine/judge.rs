//! The judge: what an attack hands in is projected on the ball again, clipped again, and put before the defence again. Only its verdict
//! counts.
//!
//! Claims wait until a batch is full or rows wait for the word, so that a judgement costs one forward pass of one slot, or as many as a random defence's
//! decision takes draws. A claim's verdict does not depend on the claims beside it.

use burn::tensor::{Device, Tensor};

use super::chain::NextRow;
use super::decide::{Decision, decide};
use super::draw::{Draw, DrawRow};
use super::examples::Examples;
use super::oracle::{Oracle, read_matrix};
use super::slots::Slots;
use crate::Result;
use crate::kernel;
use crate::kernel::row::{Row, State, TARGETED};
use crate::kernel::words::upload;
use crate::threat::Norm;

/// Tells the judge's draws from those of a row's steps.
const JUDGEMENT: u32 = u32::MAX;

/// An attack's claim that it broke a row.
#[derive(Clone, Debug)]
pub struct Claim {
    /// Whose claim it is: the engine's number for the example.
    pub chain: usize,
    /// Index into the series' epsilons.
    pub epsilon: usize,
    /// The row as it ran.
    pub row: Row,
    /// Position of the example in the data.
    pub position: usize,
    /// Whether the point itself is wanted, for the gallery.
    pub keep: bool,
    /// What half precision has to do with it.
    pub search: Search,
}

/// In which precision the row of a claim searched, and how it ended there.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Search {
    /// In single precision; it claims a break.
    Full,
    /// In half precision; it claims a break.
    Half,
    /// In half precision; it ran out of steps and claims nothing, but has a last point.
    RanOut {
        /// The row, which the chain has not heard of.
        row: NextRow,
        /// What it cost.
        forwards: u32,
        /// What it cost.
        backwards: u32,
    },
}

/// What the judge says of a claim.
#[derive(Clone, Debug)]
pub struct Judgement {
    /// The claim.
    pub claim: Claim,
    /// Whether the goal is reached inside the threat, as [`Decision::is_broken`] has it.
    pub broken: bool,
    /// Whether a logit was not finite.
    pub failed: bool,
    /// The class that the defence decides for.
    pub prediction: u32,
    /// Distances from the original: l0, l1, l2, linf.
    pub distances: [f32; 4],
    /// The point, where the claim asked for it.
    pub point: Option<Vec<f32>>,
}

/// Collects claims and judges them a batch at a time.
pub struct Judge {
    points: Tensor<2>,
    claims: Vec<Claim>,
    slots: usize,
    device: Device,
    computed: u64,
    judged: u64,
}

impl Judge {
    /// A judge for batches of `slots` rows.
    pub fn new(slots: usize, features: usize, device: &Device) -> Self {
        Self {
            points: Tensor::zeros([slots, features], device),
            claims: Vec::with_capacity(slots),
            slots,
            device: device.clone(),
            computed: 0,
            judged: 0,
        }
    }

    /// Rows that passed forward so far, and the claims among them.
    pub fn cost(&self) -> (u64, u64) {
        (self.computed, self.judged)
    }

    /// Whether nothing waits to be judged.
    pub fn is_idle(&self) -> bool {
        self.claims.is_empty()
    }

    /// Takes claims on rows of `candidates` [slots, features], named by their slot; judges as often as the batch fills.
    pub fn hand_in(
        &mut self,
        oracle: &Oracle,
        data: &dyn Examples,
        norm: Norm,
        candidates: &Tensor<2>,
        claims: Vec<(usize, Claim)>,
    ) -> Result<Vec<Judgement>> {
        let mut judgements = Vec::new();
        let mut claims = claims.into_iter().peekable();
        while claims.peek().is_some() {
            let mut index = vec![-1; self.slots];
            while self.claims.len() < self.slots {
                let Some((slot, claim)) = claims.next() else { break };
                index[self.claims.len()] = slot as i32;
                self.claims.push(claim);
            }
            self.points = kernel::admit(self.points.clone(), candidates.clone(), upload(&index, &self.device));
            if self.claims.len() == self.slots {
                judgements.extend(self.judge(oracle, data, norm)?);
            }
        }
        Ok(judgements)
    }

    /// Judges what waits.
    pub fn judge(&mut self, oracle: &Oracle, data: &dyn Examples, norm: Norm) -> Result<Vec<Judgement>> {
        if self.claims.is_empty() {
            return Ok(Vec::new());
        }
        let width = oracle.width(self.claims.len(), self.slots);
        let mut rows = vec![<Row as bytemuck::Zeroable>::zeroed(); width];
        let mut index = vec![-1; width];
        let mut draw = Draw::of(vec![None; width]);
        for (at, claim) in self.claims.iter().enumerate() {
            rows[at] = Row { step_size: 0.0, steps: 0, counts_from: 0, flags: claim.row.flags & TARGETED, generation: 1, ..claim.row };
            index[at] = claim.position as i32;
            draw.rows[at] = Some(DrawRow { key: claim.row.key, example: claim.row.example, attempt: claim.row.restart, step: JUDGEMENT });
        }
        let mut batch = Slots::new(width, oracle.shape(), norm, 0, &self.device);
        batch.admit(data, &index);
        batch.rows = upload(&rows, &self.device);
        let running = vec![State { generation: 1, ..State::default() }; width];
        batch.state = upload(&running, &self.device);
        batch.x = self.points.clone().slice([0..width, 0..oracle.features()]);
        batch.project();
        let distances = read_matrix(kernel::distances(batch.x.clone(), batch.origin.clone()))?;
        let draws = u64::from(oracle.draws());
        self.computed += draws * width as u64;
        self.judged += draws * self.claims.len() as u64;
        let decisions = decide(oracle, &batch.x, &draw)?;
        let features = oracle.features();
        let points = if self.claims.iter().any(|claim| claim.keep) { Some(read_matrix(batch.x)?) } else { None };
        let judge = |((at, claim), decision): ((usize, Claim), Decision)| Judgement {
            broken: decision.is_broken(claim.row.label, (claim.row.flags & TARGETED != 0).then_some(claim.row.target)),
            failed: decision.failed,
            prediction: decision.prediction,
            distances: [0, 1, 2, 3].map(|norm| distances[4 * at + norm]),
            point: points.as_ref().filter(|_| claim.keep).map(|points| points[at * features..(at + 1) * features].to_vec()),
            claim,
        };
        Ok(self.claims.drain(..).enumerate().zip(decisions).map(judge).collect())
    }
}

/// The distance under `norm` among [l0, l1, l2, linf].
pub fn under(norm: Norm, distances: &[f32; 4]) -> f32 {
    match norm {
        Norm::L0 => distances[0],
        Norm::L1 => distances[1],
        Norm::L2 => distances[2],
        Norm::Linf => distances[3],
    }
}
