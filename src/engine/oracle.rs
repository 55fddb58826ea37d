//! The only door from an attack to a defence: logits, gradients of a loss of the logits, and rejections.

use std::sync::Arc;

use burn::tensor::{Device, Int, Tensor};

use super::base::{Base, Combine, mean};
use super::draw::Draw;
use super::pass::{Answer, Ask, Way};
use super::pool;
use crate::defence::Wrapper;
use crate::kernel::lanes::lanes;
use crate::kernel::words;
use crate::model::Classifier;
use crate::{Error, Result};

/// Throws that the judge and the clean pass decide a random defence by, unless one of its wrappers says otherwise; and throws that a
/// step of an attack averages over where nobody says otherwise.
pub const JUDGED_DRAWS: u32 = 10;

/// A defence on one device, as attacks see it. Inputs are flat, [rows, features], in [0, 1]; logits are [rows, classes].
#[derive(Clone)]
pub struct Oracle {
    base: Base,
    /// What stands around the classifier, outermost first.
    stack: Arc<[Box<dyn Wrapper>]>,
    device: Device,
    adaptive: bool,
    half: Option<Arc<Oracle>>,
}

/// Throws that a step of an attack averages over: what it asks for, or else [`JUDGED_DRAWS`] of a random defence. An attack that does
/// not know the defence follows single draws unless it is told otherwise.
pub fn throws(stack: &[Box<dyn Wrapper>], adaptive: bool, asked: Option<u32>) -> u32 {
    let usual = if adaptive { JUDGED_DRAWS } else { 1 };
    if stack.iter().any(|wrapper| wrapper.is_random()) { asked.unwrap_or(usual) } else { 1 }
}

/// The gradients of a loss with respect to an [`Answer`]'s logits [rows, classes] and, where the loss looks at it, its score [rows, 1].
pub type Slope = (Tensor<2>, Option<Tensor<2>>);

impl Oracle {
    /// An oracle for a classifier whose weights live on `device`, without autodiff: gradients are taken to the input alone.
    pub fn new(classifier: Classifier, device: Device) -> Self {
        Self::of(Base { members: vec![classifier], combine: Combine::MeanLogits }, device)
    }

    /// An oracle for several classifiers that answer together.
    pub fn of(base: Base, device: Device) -> Self {
        Self { base, stack: Arc::new([]), device, adaptive: true, half: None }
    }

    /// The same classifier with wrappers around it, outermost first.
    #[must_use]
    pub fn behind(self, stack: Arc<[Box<dyn Wrapper>]>) -> Self {
        Self { stack, ..self }
    }

    /// The same defence before an attack that does not know it: steps follow single draws, know nothing of rejections, and a vote has no
    /// gradient. What a wrapper hides, [`naive`](crate::defence::naive) hides.
    #[must_use]
    pub fn unknown(self) -> Self {
        Self { adaptive: false, ..self }
    }

    /// As it stands, with its networks a second time in half precision, for attacks to search on ([`super::precision`]).
    #[must_use]
    pub fn with_half(self) -> Self {
        let members = self.base.members.iter().map(Classifier::halved).collect();
        let half = Self { base: Base { members, combine: self.base.combine }, half: None, ..self.clone() };
        Self { half: Some(Arc::new(half)), ..self }
    }

    /// The same defence without half precision.
    #[must_use]
    pub fn in_full(self) -> Self {
        Self { half: None, ..self }
    }

    /// The same defence with its networks in half precision, where attacks are to search on it. It decides nothing.
    pub fn half(&self) -> Option<&Oracle> {
        self.half.as_deref()
    }

    /// Whether attacks know the defence.
    pub fn is_adaptive(&self) -> bool {
        self.adaptive
    }

    /// The device that answers.
    pub fn device(&self) -> &Device {
        &self.device
    }

    /// Features of an input.
    pub fn features(&self) -> usize {
        self.base.members[0].features()
    }

    /// How many classes there are.
    pub fn classes(&self) -> usize {
        self.base.members[0].classes
    }

    /// Channels, height and width of an input.
    pub fn shape(&self) -> [usize; 3] {
        self.base.members[0].shape
    }

    /// Whether an answer depends on the draw.
    pub fn is_random(&self) -> bool {
        self.stack.iter().any(|wrapper| wrapper.is_random())
    }

    /// Whether inputs may be rejected.
    pub fn rejects(&self) -> bool {
        self.stack.iter().any(|wrapper| wrapper.rejects())
    }

    /// Whether the draws of a decision are votes, and the class with most of them is the decision; otherwise more than half must agree.
    pub fn polls(&self) -> bool {
        self.stack.iter().any(|wrapper| wrapper.polls().is_some())
    }

    /// Whether members of an ensemble vote.
    pub fn votes(&self) -> bool {
        self.base.members.len() > 1 && self.base.combine == Combine::Vote
    }

    /// Rows that passes over `slots` rows compute where `asked` of them are wanted: a compiled plan leaves the others out.
    pub fn computed(&self, asked: u64, slots: u64) -> u64 {
        if self.base.members.iter().all(|member| member.plan.is_some()) { asked } else { slots }
    }

    /// Slots that so many rows want, of so many: all, or a half, a quarter and so on, rounded up to what a GPU computes together. Always
    /// all but where the networks have plans and nothing else computes: a plan's numbers do not depend on the rows beside a row.
    pub fn width(&self, rows: usize, slots: usize) -> usize {
        let planned = |member: &Classifier| member.plan.is_some() || member.gpu.is_some();
        let alone = self.stack.is_empty() && (self.base.members.len() == 1 || self.base.combine == Combine::MeanLogits);
        let mut width = slots;
        if alone && self.base.members.iter().all(planned) {
            while lanes(width / 2) < width && lanes(width / 2) >= rows.max(1) {
                width = lanes(width / 2);
            }
        }
        width
    }

    /// Throws that a decision takes: one; for a random defence [`JUDGED_DRAWS`], or as many as are polled.
    pub fn draws(&self) -> u32 {
        let polled = self.stack.iter().filter_map(|wrapper| wrapper.polls()).max();
        polled.unwrap_or(if self.is_random() { JUDGED_DRAWS } else { 1 })
    }

    /// Throws that a step of an attack averages over: as [`throws`] has it.
    pub fn throws(&self, asked: Option<u32>) -> u32 {
        throws(&self.stack, self.adaptive, asked)
    }

    fn way(&self, back: bool, score: bool) -> Way<'_> {
        let ask = Ask { back, score: score && self.rejects(), adaptive: self.adaptive };
        Way { base: &self.base, layers: &self.stack, shape: self.shape(), ask }
    }

    /// Logits of the inputs.
    pub fn logits(&self, inputs: Tensor<2>, draw: &Draw) -> Tensor<2> {
        self.way(false, false).pass(0, inputs, draw).answer.logits
    }

    /// All that the defence says of the inputs.
    pub fn answer(&self, inputs: Tensor<2>, draw: &Draw) -> Answer {
        self.way(false, true).pass(0, inputs, draw).answer
    }

    /// What a step of an attack sees: an answer a draw, or one for all draws where they are polled.
    pub fn answers(&self, inputs: Tensor<2>, draws: &[Draw]) -> Vec<Answer> {
        let answers = draws.iter().map(|draw| self.way(false, self.adaptive).pass(0, inputs.clone(), draw).answer).collect();
        if self.polls() { vec![polled(answers)] } else { answers }
    }

    /// The gradient [rows, features], with respect to the inputs, of the sum of the losses whose gradients with respect to the answers
    /// `slopes` gives, one an answer ([`Oracle::answers`]).
    pub fn descend(&self, inputs: Tensor<2>, draws: &[Draw], slopes: impl FnOnce(&[Answer]) -> Vec<Slope>) -> Tensor<2> {
        let passes = draws.iter().map(|draw| self.way(true, self.adaptive).pass(0, inputs.clone(), draw));
        let (answers, backs): (Vec<Answer>, Vec<_>) = passes.map(|pass| (pass.answer, pass.back.expect("it was asked for"))).unzip();
        let slopes = if self.polls() {
            let logits: Vec<Tensor<2>> = answers.iter().map(|answer| answer.logits.clone()).collect();
            let (gradient, score) = slopes(&[polled(answers)]).remove(0);
            let score = score.map(|score| score / logits.len() as f32);
            pool::pull(&logits, &gradient).into_iter().map(|gradient| (gradient, score.clone())).collect()
        } else {
            slopes(&answers)
        };
        let gradients = backs.into_iter().zip(slopes).map(|(back, (gradient, score))| back(gradient, score));
        gradients.reduce(|sum, gradient| sum + gradient).expect("there is a draw at least")
    }

    /// The gradient [rows, features], with respect to the inputs, of the sum over the draws of the losses whose gradients with respect
    /// to the logits `loss_gradients` gives, one a draw. A row's gradient is zero where those of its logits are.
    pub fn gradient(&self, inputs: Tensor<2>, draws: &[Draw], loss_gradients: impl FnOnce(&[Tensor<2>]) -> Vec<Tensor<2>>) -> Tensor<2> {
        let passes = draws.iter().map(|draw| self.way(true, false).pass(0, inputs.clone(), draw));
        let (logits, backs): (Vec<Tensor<2>>, Vec<_>) = passes.map(|pass| (pass.answer.logits, pass.back.expect("asked for"))).unzip();
        let gradients = backs.into_iter().zip(loss_gradients(&logits)).map(|(back, gradient)| back(gradient, None));
        gradients.reduce(|sum, gradient| sum + gradient).expect("there is a draw at least")
    }
}

/// The answers to several draws as one: the mean of the probabilities, the mean score, and every ballot.
fn polled(answers: Vec<Answer>) -> Answer {
    let logits: Vec<Tensor<2>> = answers.iter().map(|answer| answer.logits.clone()).collect();
    let scores: Option<Vec<Tensor<2>>> = answers.iter().map(|answer| answer.score.clone()).collect();
    let ballots = |answer: Answer| if answer.ballots.is_empty() { vec![answer.logits] } else { answer.ballots };
    Answer {
        logits: pool::log_mean_probability(&logits),
        score: scores.map(|scores| mean(&scores)),
        ballots: answers.into_iter().flat_map(ballots).collect(),
    }
}

/// Reads 32-bit words back as what they were.
pub(crate) fn read_words<T: bytemuck::Pod>(tensor: Tensor<1, Int>) -> Result<Vec<T>> {
    let data = tensor.try_into_data().map_err(|error| lost(&error))?;
    Ok(words::records(&data))
}

/// Reads a matrix back, row-major.
pub(crate) fn read_matrix(tensor: Tensor<2>) -> Result<Vec<f32>> {
    let data = tensor.try_into_data().map_err(|error| lost(&error))?;
    data.try_to_vec().map_err(|error| lost(&error))
}

fn lost(error: &dyn std::fmt::Debug) -> Error {
    Error::device(format!("the device stopped answering: {error:?}"))
        .help("what was done is kept: run the same command again, with --device cpu or a smaller --memory if it happens again")
}
