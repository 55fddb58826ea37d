//! From layers to steps: where every value and gradient lies, what runs forward, and what runs backward.

use super::convolution::{Bits, Target};
use super::layers::{Affine, Kind, Layer, Network, Number};
use super::layout::{Buffer, Layout, Placed, wider};
use super::step::Step;

/// Steps and the memory that they use.
#[derive(Clone, Debug, Default)]
pub(super) struct Script {
    pub(super) forward: Vec<Step>,
    pub(super) backward: Vec<Step>,
    pub(super) buffers: Vec<Span>,
    pub(super) images: Option<Placed>,
    pub(super) logits: Option<Placed>,
    /// Where the gradient of a loss with respect to the logits is put.
    pub(super) ask: Option<Placed>,
    /// Where that with respect to the images is found; none where the logits do not depend on them smoothly.
    pub(super) answer: Option<Placed>,
}

/// A piece of memory and the steps, forward and then backward, between which it is used.
#[derive(Clone, Copy, Debug)]
pub(super) struct Span {
    /// Bits that an image takes.
    pub(super) bits: usize,
    pub(super) first: usize,
    pub(super) last: usize,
}

/// A gradient in the making.
#[derive(Clone, Copy, Debug)]
struct Gradient {
    at: Placed,
    /// Whether nothing else needs what is there.
    owned: bool,
    /// Whether the rectifier of the value's layer has been applied.
    gated: bool,
}

/// Bits of a number.
const NUMBER: usize = 32;

struct Emitter<'a> {
    network: &'a Network,
    target: Target,
    script: Script,
    /// Whether steps go backward.
    turned: bool,
    values: Vec<Placed>,
    gradients: Vec<Option<Gradient>>,
    /// By value: gradients that are still to come.
    open: Vec<usize>,
    /// By value: the layer that gives it.
    makers: Vec<Option<usize>>,
    /// By layer: bits, winners or deviations that it leaves for the way back.
    left: Vec<Option<Buffer>>,
}

/// Lays out a network.
pub(super) fn emit(network: &Network, target: Target) -> Script {
    let count = network.sides.len();
    let mut makers = vec![None; count];
    let mut open = vec![0; count];
    for (at, layer) in network.layers.iter().enumerate() {
        makers[layer.output] = Some(at);
        layer.inputs.iter().for_each(|&input| open[input] += 1);
    }
    let nowhere = Placed { buffer: 0, layout: Layout::plain([0; 3]) };
    let mut emitter = Emitter {
        network,
        target,
        script: Script::default(),
        turned: false,
        values: vec![nowhere; count],
        gradients: vec![None; count],
        open,
        makers,
        left: vec![None; network.layers.len()],
    };
    emitter.forward();
    emitter.turned = true;
    emitter.backward();
    emitter.script
}

impl Emitter<'_> {
    fn clock(&self) -> usize {
        self.script.forward.len() + self.script.backward.len()
    }

    /// Memory of so many bits an image.
    fn buffer(&mut self, bits: usize) -> Buffer {
        let now = self.clock();
        self.script.buffers.push(Span { bits, first: now, last: now });
        self.script.buffers.len() - 1
    }

    fn touch(&mut self, buffer: Buffer) {
        let now = self.clock();
        self.script.buffers[buffer].last = now;
    }

    fn push(&mut self, step: Step) {
        step.buffers().into_iter().for_each(|buffer| self.touch(buffer));
        let steps = if self.turned { &mut self.script.backward } else { &mut self.script.forward };
        steps.push(step);
    }

    /// A new value in memory, its border zeroed.
    fn place(&mut self, sides: [usize; 3], border: [usize; 4]) -> Placed {
        let layout = Layout { sides, border };
        let placed = Placed { buffer: self.buffer(NUMBER * layout.vectors()), layout };
        if !layout.is_plain() {
            self.push(Step::Border(placed));
        }
        placed
    }

    /// The border that a value's readers want.
    fn border(&self, value: Number) -> [usize; 4] {
        let of = |layer: &Layer| match &layer.kind {
            Kind::Convolution { of, .. } if layer.inputs[0] == value => of.border(self.target),
            _ => [0; 4],
        };
        self.network.layers.iter().map(of).fold([0; 4], wider)
    }

    /// The border that the gradient of a value wants.
    fn gradient_border(&self, value: Number) -> [usize; 4] {
        match self.makers[value].map(|layer| &self.network.layers[layer].kind) {
            Some(Kind::Convolution { of, .. }) => of.gradient_border(self.target),
            _ => [0; 4],
        }
    }

    fn forward(&mut self) {
        self.values[0] = self.place(self.network.sides[0], self.border(0));
        self.script.images = Some(self.values[0]);
        for at in 0..self.network.layers.len() {
            self.layer(at);
        }
        let logits = self.values[self.network.output];
        self.script.logits = Some(logits);
        self.script.buffers[logits.buffer].last = self.clock().saturating_sub(1);
    }

    fn layer(&mut self, at: usize) {
        let network = self.network;
        let Layer { kind, inputs, output } = &network.layers[at];
        let sides = network.sides[*output];
        let input = inputs.first().map_or(self.values[0], |&input| self.values[input]);
        let border = self.border(*output);
        if matches!(kind, Kind::View) && input.layout.is_plain() && border == [0; 4] {
            self.values[*output] = Placed { layout: Layout::plain(sides), ..input };
            return;
        }
        let placed = self.place(sides, border);
        self.values[*output] = placed;
        let plain = Layout::plain(sides);
        if kind.rectifies() {
            self.left[at] = Some(self.buffer(plain.elements()));
        }
        match kind {
            Kind::Convolution { of, .. } => {
                let added = inputs.get(1).map(|&added| (self.values[added].layout.grid(), self.values[added].buffer));
                let bits = self.left[at].map(|bits| (Bits::Rectify, plain.grid(), bits));
                let pass = of.forward(&input.layout, &placed.layout, self.target);
                self.push(Step::Convolve { pass, input: input.buffer, output: placed.buffer, add: added, bits });
            }
            Kind::Affine { of, .. } => self.push(Step::Scale { of: of.clone(), input, output: placed, bits: self.left[at] }),
            Kind::View => {
                let rows = super::rows::Rows::picked(plain.elements(), Some).placed(&input.layout, &placed.layout);
                self.push(Step::Sum { rows, input: input.buffer, output: placed.buffer });
            }
            Kind::Rows(parts) => {
                for (rows, &input) in parts.iter().zip(inputs) {
                    let input = self.values[input];
                    let rows = rows.clone().placed(&input.layout, &placed.layout);
                    self.push(Step::Sum { rows, input: input.buffer, output: placed.buffer });
                }
            }
            Kind::MaxPool(pool) => {
                let winners = self.buffer(8 * plain.elements());
                self.left[at] = Some(winners);
                self.push(Step::MaxPool { pool: pool.clone(), input, output: placed, winners });
            }
            Kind::Unary(function) => self.push(Step::Unary { function: *function, input, output: placed }),
            Kind::Pair(pair) => {
                let inputs = self.operands(at);
                self.push(Step::Pair { pair: pair.clone(), inputs, output: placed });
            }
            Kind::Standardise { run, epsilon } => {
                let deviations = self.buffer(NUMBER * (plain.elements() / run));
                self.left[at] = Some(deviations);
                self.push(Step::Standardise { run: *run, epsilon: *epsilon, input, output: placed, deviations });
            }
            Kind::Softmax { count, apart, logarithm } => {
                self.push(Step::Softmax { count: *count, apart: *apart, logarithm: *logarithm, input, output: placed });
            }
        }
    }

    /// Where the two operands of a pair lie, but for those that are numbers.
    fn operands(&self, at: usize) -> [Option<Placed>; 2] {
        let Layer { kind: Kind::Pair(pair), inputs, .. } = &self.network.layers[at] else { return [None; 2] };
        let mut inputs = inputs.iter().map(|&input| self.values[input]);
        [0, 1].map(|side| if pair.numbers[side].is_some() { None } else { inputs.next() })
    }

    fn backward(&mut self) {
        let output = self.network.output;
        let ask = self.place(self.network.sides[output], [0; 4]);
        self.script.ask = Some(ask);
        self.gradients[output] = Some(Gradient { at: ask, owned: true, gated: false });
        for at in (0..self.network.layers.len()).rev() {
            if let Some(gradient) = self.settled(self.network.layers[at].output) {
                self.back(at, gradient);
            }
        }
        self.script.answer = self.settled(0);
        if let Some(answer) = self.script.answer {
            self.touch(answer.buffer);
        }
    }

    /// The whole gradient of a value, behind its rectifier, with the border that the way back wants.
    fn settled(&mut self, value: Number) -> Option<Placed> {
        let Gradient { at, owned, gated } = self.gradients[value]?;
        let rectified = self.makers[value].filter(|&layer| self.network.layers[layer].kind.rectifies());
        let bits = rectified.filter(|_| !gated).and_then(|layer| self.left[layer]);
        let border = self.gradient_border(value);
        let fits = at.layout.holds(border);
        if fits && bits.is_none() {
            return Some(at);
        }
        let to = if fits && owned { at } else { self.place(self.network.sides[value], border) };
        self.push(Step::Gate { input: at, output: to, bits });
        Some(to)
    }

    fn back(&mut self, at: usize, gradient: Placed) {
        let network = self.network;
        let Layer { kind, inputs, output } = &network.layers[at];
        match kind {
            Kind::Convolution { of, .. } => {
                if let Some(&added) = inputs.get(1) {
                    self.lend(added, gradient);
                }
                self.convolve_back(of, inputs[0], gradient);
            }
            Kind::Affine { of, .. } => {
                let to = self.fresh(inputs[0]);
                let of = Affine { shift: vec![0.0], ..of.clone() };
                self.push(Step::Scale { of, input: gradient, output: to, bits: None });
                self.give(inputs[0], to);
            }
            Kind::View if gradient.layout.is_plain() => {
                let sides = network.sides[inputs[0]];
                self.lend(inputs[0], Placed { layout: Layout::plain(sides), ..gradient });
            }
            Kind::View => {
                let to = self.fresh(inputs[0]);
                let rows = super::rows::Rows::picked(to.layout.elements(), Some).placed(&gradient.layout, &to.layout);
                self.push(Step::Sum { rows, input: gradient.buffer, output: to.buffer });
                self.give(inputs[0], to);
            }
            Kind::Rows(parts) => {
                for (rows, &input) in parts.iter().zip(inputs) {
                    let to = self.fresh(input);
                    let rows = rows.transposed(to.layout.elements()).placed(&gradient.layout, &to.layout);
                    self.push(Step::Sum { rows, input: gradient.buffer, output: to.buffer });
                    self.give(input, to);
                }
            }
            Kind::MaxPool(pool) => {
                let to = self.fresh(inputs[0]);
                self.push(Step::Zero(to));
                if let Some(winners) = self.left[at] {
                    self.push(Step::ToWinners { pool: pool.clone(), gradient, output: to, winners });
                }
                self.give(inputs[0], to);
            }
            Kind::Unary(function) => {
                let (input, to) = (self.values[inputs[0]], self.fresh(inputs[0]));
                self.push(Step::UnaryBack { function: *function, input, gradient, output: to });
                self.give(inputs[0], to);
            }
            Kind::Pair(pair) => {
                let operands = self.operands(at);
                let sides = (0..2).filter(|&side| pair.numbers[side].is_none());
                for (side, &input) in sides.zip(inputs) {
                    let to = self.fresh(input);
                    self.push(Step::Zero(to));
                    self.push(Step::PairBack { pair: pair.clone(), inputs: operands, gradient, output: to, side });
                    self.give(input, to);
                }
            }
            Kind::Standardise { run, .. } => {
                let (result, to) = (self.values[*output], self.fresh(inputs[0]));
                if let Some(deviations) = self.left[at] {
                    self.push(Step::StandardiseBack { run: *run, result, deviations, gradient, output: to });
                }
                self.give(inputs[0], to);
            }
            Kind::Softmax { count, apart, logarithm } => {
                let (result, to) = (self.values[*output], self.fresh(inputs[0]));
                let (count, apart, logarithm) = (*count, *apart, *logarithm);
                self.push(Step::SoftmaxBack { count, apart, logarithm, result, gradient, output: to });
                self.give(inputs[0], to);
            }
        }
    }

    fn convolve_back(&mut self, of: &super::passes::Convolution, input: Number, gradient: Placed) {
        let to = self.fresh(input);
        let before = self.gradients[input];
        let rectified = self.makers[input].filter(|&layer| self.network.layers[layer].kind.rectifies());
        let bits = rectified.filter(|_| self.open[input] == 1).and_then(|layer| self.left[layer]);
        let plain = Layout::plain(to.layout.sides).grid();
        for (first, pass) in of.backward(&gradient.layout, &to.layout, self.target) {
            let add = before.map(|before| (before.at.layout.grid().every(first, of.stride), before.at.buffer));
            let bits = bits.map(|bits| (Bits::Gate, plain.every(first, of.stride), bits));
            self.push(Step::Convolve { pass, input: gradient.buffer, output: to.buffer, add, bits });
        }
        self.open[input] -= 1;
        self.gradients[input] = Some(Gradient { at: to, owned: true, gated: bits.is_some() });
    }

    /// Memory for a gradient of a value.
    fn fresh(&mut self, value: Number) -> Placed {
        let border = self.gradient_border(value);
        self.place(self.network.sides[value], border)
    }

    /// Takes down a part of a value's gradient, in memory of its own.
    fn give(&mut self, value: Number, part: Placed) {
        if let Some(before) = self.gradients[value] {
            self.push(Step::Add { input: before.at, output: part });
        }
        self.open[value] -= 1;
        self.gradients[value] = Some(Gradient { at: part, owned: true, gated: false });
    }

    /// As [`Emitter::give`], where others may need what is there.
    fn lend(&mut self, value: Number, part: Placed) {
        match self.gradients[value] {
            None => {
                self.open[value] -= 1;
                self.gradients[value] = Some(Gradient { at: part, owned: false, gated: false });
            }
            Some(before) if before.owned => {
                self.push(Step::Add { input: part, output: before.at });
                self.open[value] -= 1;
            }
            Some(_) => {
                let to = self.fresh(value);
                self.push(Step::Gate { input: part, output: to, bits: None });
                self.give(value, to);
            }
        }
    }
}
