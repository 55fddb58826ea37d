//! One pass through a defence, layer by layer, and the way back.
//!
//! The way back is taken by hand, a layer at a time: each wrapper says what becomes of a gradient ([`Wrapper::pull`]), so that one that
//! is not differentiable answers with its stand-in (BPDA, Athalye et al. 2018) and its forward pass stays exactly what it is.

use burn::tensor::Tensor;

use super::base::{Base, Said, back_to};
use super::draw::Draw;
use crate::defence::Wrapper;

/// What a defence says of a batch under one draw.
#[derive(Clone, Debug)]
pub struct Answer {
    /// Logits [rows, classes].
    pub logits: Tensor<2>,
    /// [rows, 1], above 0 where the input is rejected; `None` where nothing is rejected ever, or nobody asked.
    pub score: Option<Tensor<2>>,
    /// Where votes decide, what they are counted from, logits [rows, classes] each; otherwise none.
    pub ballots: Vec<Tensor<2>>,
}

/// From the gradients with respect to logits and score to that with respect to the inputs.
pub(super) type Back<'a> = Box<dyn FnOnce(Tensor<2>, Option<Tensor<2>>) -> Tensor<2> + 'a>;

/// A pass and, where it was asked for, its way back.
pub(super) struct Pass<'a> {
    pub answer: Answer,
    pub back: Option<Back<'a>>,
}

/// What a pass is for.
#[derive(Clone, Copy)]
pub(super) struct Ask {
    /// Whether the way back is wanted.
    pub back: bool,
    /// Whether the detectors' score is.
    pub score: bool,
    /// Whether the attack knows the defence.
    pub adaptive: bool,
}

/// A defence as a pass sees it.
#[derive(Clone, Copy)]
pub(super) struct Way<'a> {
    pub base: &'a Base,
    /// The wrappers, outermost first.
    pub layers: &'a [Box<dyn Wrapper>],
    pub shape: [usize; 3],
    pub ask: Ask,
}

impl<'a> Way<'a> {
    /// Inputs [rows, features] through the layers from `depth` on.
    pub(super) fn pass(self, depth: usize, inputs: Tensor<2>, draw: &Draw) -> Pass<'a> {
        let Some(layer) = self.layers.get(depth) else { return self.middle(inputs, draw) };
        let (shape, draw_here) = (self.shape, draw.at(depth));
        let inner = self.pass(depth + 1, layer.inputs(inputs.clone(), shape, &draw_here), draw);
        let raw = inner.answer.logits.clone();
        let squeezers = if self.ask.score { layer.squeezers() } else { &[] };
        let way = Way { ask: Ask { score: false, ..self.ask }, ..self };
        let squeezed = squeezers.iter().map(|squeezer| squeezer.inputs(inputs.clone(), shape, &draw_here));
        let views: Vec<Pass<'a>> = squeezed.map(|inputs| way.pass(depth + 1, inputs, draw)).collect();
        let seen: Vec<Tensor<2>> = std::iter::once(&raw).chain(views.iter().map(|view| &view.answer.logits)).cloned().collect();
        let own = if self.ask.score { layer.score(&inputs, &seen) } else { None };
        let score = match (own.clone(), inner.answer.score.clone()) {
            (Some(own), Some(inner)) => Some(own.max_pair(inner)),
            (own, inner) => own.or(inner),
        };
        let answer = Answer { logits: layer.logits(raw.clone()), score, ballots: inner.answer.ballots };
        let inner_score = inner.answer.score;
        let back = inner.back.map(|inner_back| -> Back<'a> {
            Box::new(move |gradient, score_gradient| {
                let mut to_logits = layer.pull_logits(raw, gradient);
                let mut to_inputs: Option<Tensor<2>> = None;
                let (to_own, to_inner) = split(score_gradient, own.as_ref(), inner_score.as_ref());
                if let Some(to_own) = to_own {
                    let mut shares = score_back(&**layer, &inputs, &seen, to_own);
                    let mut sum = shares.remove(0);
                    to_logits = to_logits + shares.remove(0);
                    for ((squeezer, view), share) in squeezers.iter().zip(views).zip(shares) {
                        let back = view.back.expect("a pass with a way back has one in every view");
                        sum = sum + squeezer.pull(inputs.clone(), back(share, None), shape, &draw_here);
                    }
                    to_inputs = Some(sum);
                }
                let through = layer.pull(inputs, inner_back(to_logits, to_inner), shape, &draw_here);
                match to_inputs {
                    Some(direct) => through + direct,
                    None => through,
                }
            })
        });
        Pass { answer, back }
    }

    fn middle(self, inputs: Tensor<2>, draw: &Draw) -> Pass<'a> {
        let Said { logits, ballots, pull } = self.base.say(inputs, &draw.asked(), self.ask.back, self.ask.adaptive);
        let back = pull.map(|pull| -> Back<'a> { Box::new(move |gradient, _| pull(gradient)) });
        Pass { answer: Answer { logits, score: None, ballots }, back }
    }
}

/// The gradient of the larger of two scores, to the one and to the other.
fn split(gradient: Option<Tensor<2>>, own: Option<&Tensor<2>>, inner: Option<&Tensor<2>>) -> (Option<Tensor<2>>, Option<Tensor<2>>) {
    match (gradient, own, inner) {
        (Some(gradient), Some(own), Some(inner)) => {
            let wins = own.clone().greater_equal(inner.clone()).float();
            let to_own = gradient.clone() * wins;
            (Some(to_own.clone()), Some(gradient - to_own))
        }
        (None, ..) => (None, None),
        (gradient, Some(_), None) => (gradient, None),
        (gradient, None, _) => (None, gradient),
    }
}

/// The gradients of a layer's own score with respect to its inputs and to all the logits that it looks at, in this order.
fn score_back(layer: &dyn Wrapper, inputs: &Tensor<2>, seen: &[Tensor<2>], gradient: Tensor<2>) -> Vec<Tensor<2>> {
    let leaf = |tensor: &Tensor<2>| tensor.clone().autodiff().require_grad();
    let (inputs, seen): (Tensor<2>, Vec<Tensor<2>>) = (leaf(inputs), seen.iter().map(leaf).collect());
    let score = layer.score(&inputs, &seen).expect("a layer with a score has one again");
    let mut gradients = (score * Tensor::from_inner(gradient)).sum().backward();
    let mut of = |leaf: &Tensor<2>| leaf.grad_remove(&mut gradients).unwrap_or_else(|| leaf.clone().inner().zeros_like());
    std::iter::once(&inputs).chain(&seen).map(&mut of).collect()
}

/// The gradient with respect to `inputs` that Burn's own record of `map` gives.
pub(crate) fn recorded(inputs: Tensor<2>, gradient: Tensor<2>, map: impl FnOnce(Tensor<2>) -> Tensor<2>) -> Tensor<2> {
    let inputs = inputs.autodiff().require_grad();
    let outputs = map(inputs.clone());
    back_to(&inputs, outputs, gradient)
}
