//! From steps to launches, for a number of images.

use std::collections::HashMap;
use std::sync::Arc;

use cubecl::ir::attributes::BufferIOAttr::{self, ReadOnly, ReadWrite, WriteOnly};
use cubecl::prelude::Client;
use cubecl::server::Handle;

use super::memory::{self, ALIGNMENT};
use crate::frozen::convolution::{Bits, Pass};
use crate::frozen::emit::Script;
use crate::frozen::layers::Affine;
use crate::frozen::layout::{self, Buffer, Placed};
use crate::frozen::plan::place;
use crate::frozen::pool::MaxPool;
use crate::frozen::rows::Rows;
use crate::frozen::step::Step;
use crate::graph::Unary;
use crate::kernel::lanes::{ADD, GATE, Grid, NOTE, QUAD, RECTIFY, RING, ZERO};
use crate::kernel::{Kernel, convolve, max_pool, max_pool_back, parameters_buffer, softmax, sparse_rows, sweep, to_lanes, unary};

/// A launch, but for the memory.
#[derive(Debug)]
pub(super) struct Launch {
    pub(super) kernel: &'static Kernel,
    pub(super) groups: usize,
    pub(super) buffers: Vec<(Bound, BufferIOAttr)>,
}

/// What is bound.
#[derive(Debug)]
pub(super) enum Bound {
    /// The plan's memory.
    Memory(Buffer),
    /// What stays on the device.
    Fixed(Handle),
}

/// All launches for a number of images.
#[derive(Debug)]
pub(super) struct Recorded {
    pub(super) forward: Vec<Launch>,
    pub(super) backward: Vec<Launch>,
    /// By buffer: whether it outlives the way forward, where it begins, and its length, in bytes.
    pub(super) places: Vec<(bool, usize, usize)>,
    /// Bytes of what outlives the way forward, and of the rest.
    pub(super) bytes: [usize; 2],
    pub(super) page: usize,
}

/// A plan on a device.
#[derive(Debug, Default)]
pub(super) struct Resident {
    tables: HashMap<Table, Handle>,
    recorded: HashMap<usize, Arc<Recorded>>,
    /// Bytes of the largest page so far: the same memory serves fewer images where its pages are the same.
    page: usize,
}

/// Numbers of a step: by direction and place of the step, and which.
type Table = (bool, usize, Which);

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum Which {
    /// Weights in tiles of this height.
    Weights(u32),
    Offsets,
    Affine,
    Places,
    Entries,
    /// In the place of what is not used.
    Nothing,
}

impl Resident {
    /// The launches for so many images.
    pub(super) fn recorded(&mut self, script: &Script, client: &Client, device: &cubecl::Device, images: usize) -> Arc<Recorded> {
        if let Some(recorded) = self.recorded.get(&images) {
            return recorded.clone();
        }
        let mut recorder = Recorder { client, device, images, tables: &mut self.tables, step: (false, 0) };
        let forward = recorder.all(false, &script.forward);
        let backward = recorder.all(true, &script.backward);
        let size = |bits: usize| bits * images / 8;
        let page = memory::page(client, script.buffers.iter().map(|span| size(span.bits)).max().unwrap_or(0)).max(self.page);
        self.page = page;
        let (places, bytes) = place(script, images, ALIGNMENT, page);
        let places = places.iter().zip(&script.buffers).map(|(&(outlives, start), span)| (outlives, start, size(span.bits))).collect();
        let recorded = Arc::new(Recorded { forward, backward, places, bytes, page });
        self.recorded.insert(images, recorded.clone());
        recorded
    }
}

struct Recorder<'a> {
    client: &'a Client,
    device: &'a cubecl::Device,
    images: usize,
    tables: &'a mut HashMap<Table, Handle>,
    /// Direction and place of the step at hand.
    step: (bool, usize),
}

impl Recorder<'_> {
    fn all(&mut self, turned: bool, steps: &[Step]) -> Vec<Launch> {
        let mut launches = Vec::with_capacity(steps.len());
        for (at, step) in steps.iter().enumerate() {
            self.step = (turned, at);
            // The way back of a pooling writes every element.
            let idle = matches!(step, Step::Zero(_)) && matches!(steps.get(at + 1), Some(Step::ToWinners { .. }));
            if !idle {
                launches.extend(self.launch(step));
            }
        }
        launches
    }

    fn launch(&mut self, step: &Step) -> Option<Launch> {
        Some(match step {
            Step::Border(value) => self.border(*value),
            Step::Zero(value) => {
                let whole = Placed { layout: layout::Layout::plain([value.layout.vectors(), 1, 1]), ..*value };
                self.sweep(None, whole, None, ZERO, None)
            }
            Step::Convolve { pass, input, output, add, bits } => self.convolve(pass, [*input, *output], *add, *bits),
            Step::Scale { of, input, output, bits } => {
                self.sweep(Some(*input), *output, Some(of), if bits.is_some() { RECTIFY | NOTE } else { 0 }, *bits)
            }
            Step::Gate { input, output, bits } => self.sweep(Some(*input), *output, None, if bits.is_some() { GATE } else { 0 }, *bits),
            Step::Add { input, output } => self.sweep(Some(*input), *output, None, ADD, None),
            Step::Sum { rows, input, output } => self.sum(rows, *input, *output),
            Step::MaxPool { pool, input, output, winners } => {
                let parameters = windows(pool).parameters(self.images, grid(input.layout.grid()), grid(output.layout.grid()));
                let buffers = [(input.buffer, ReadOnly), (output.buffer, WriteOnly), (*winners, WriteOnly)];
                self.pool(&max_pool::KERNEL, parameters.workgroups(true), buffers, &parameters)
            }
            Step::ToWinners { pool, gradient, output, winners } => {
                let parameters = windows(pool).parameters(self.images, grid(gradient.layout.grid()), grid(output.layout.grid()));
                let buffers = [(gradient.buffer, ReadOnly), (*winners, ReadOnly), (output.buffer, WriteOnly)];
                self.pool(&max_pool_back::KERNEL, parameters.workgroups(false), buffers, &parameters)
            }
            Step::Unary { function, input, output } => self.unary(*function, [*input, *input, *output], false)?,
            Step::UnaryBack { function, input, gradient, output } => self.unary(*function, [*input, *gradient, *output], true)?,
            Step::Softmax { count, apart, logarithm, input, output } => {
                let way = softmax::Way { count: *count, apart: *apart, logarithm: *logarithm, back: false };
                self.softmax(way, [*input, *input, *output])
            }
            Step::SoftmaxBack { count, apart, logarithm, result, gradient, output } => {
                let way = softmax::Way { count: *count, apart: *apart, logarithm: *logarithm, back: true };
                self.softmax(way, [*result, *gradient, *output])
            }
            // The plan's compiler refuses the layers that give these.
            Step::Pair { .. } | Step::PairBack { .. } | Step::Standardise { .. } | Step::StandardiseBack { .. } => return None,
        })
    }

    fn parameters<P: bytemuck::Pod>(&self, parameters: &P) -> (Bound, BufferIOAttr) {
        (Bound::Fixed(parameters_buffer(self.client, self.device, bytemuck::bytes_of(parameters))), ReadOnly)
    }

    fn table<T: bytemuck::Pod>(&mut self, which: Which, numbers: impl FnOnce() -> Vec<T>) -> (Bound, BufferIOAttr) {
        let client = self.client;
        let key = if which == Which::Nothing { (false, 0, which) } else { (self.step.0, self.step.1, which) };
        let make = || client.create_from_slice(bytemuck::cast_slice(&numbers()));
        (Bound::Fixed(self.tables.entry(key).or_insert_with(make).clone()), ReadOnly)
    }

    /// The buffer, or something in its place.
    fn maybe(&mut self, buffer: Option<Buffer>, io: BufferIOAttr) -> (Bound, BufferIOAttr) {
        match buffer {
            Some(buffer) => (Bound::Memory(buffer), io),
            None => self.table(Which::Nothing, || vec![0u32; ALIGNMENT / 4]),
        }
    }

    fn convolve(
        &mut self,
        pass: &Pass,
        [input, output]: [Buffer; 2],
        add: Option<(layout::Grid, Buffer)>,
        bits: Option<(Bits, layout::Grid, Buffer)>,
    ) -> Launch {
        let (quads, pixels) = (self.images / QUAD, pass.size[0] * pass.size[1]);
        let (taps, terms) = (pass.taps.len(), pass.inputs * pass.taps.len());
        let down = convolve::down(pass.outputs, pixels * quads);
        let what = match bits {
            Some((Bits::Rectify, ..)) => RECTIFY | NOTE,
            Some((Bits::Gate, ..)) => GATE,
            _ => 0,
        };
        let (noted, gated) = (bits.filter(|_| what & NOTE != 0), bits.filter(|_| what == GATE));
        let mut value = grid(pass.input);
        value.channel *= pass.inputs as u32;
        let [groups, outputs] = [pass.groups, pass.outputs].map(|count| count as u32);
        let parameters = convolve::Parameters {
            quads: quads as u32,
            pixels: pixels as u32,
            columns: pass.size[1] as u32,
            groups,
            terms: terms as u32,
            outputs,
            tiles: convolve::tiles(pass.outputs, down) as u32,
            down,
            mode: what | if add.is_some() { ADD } else { 0 },
            value,
            added: add.map(|(at, _)| grid(at)).unwrap_or_default(),
            bits: bits.map(|(_, at, _)| grid(at)).unwrap_or_default(),
            result: grid(pass.output),
        };
        let weight = |group: usize, output: usize, term: usize| pass.weights[(group * pass.outputs + output) * terms + term];
        let offset = |term: usize| (term / taps * pass.input.channel + pass.taps[term % taps]) as i32;
        let weights = || convolve::packed([pass.groups, pass.outputs, terms], down, weight, &pass.bias);
        // Where no tap reaches there are no offsets, and none is read.
        let offsets = || (0..terms).map(offset).chain(std::iter::repeat_n(0, usize::from(terms == 0))).collect();
        let buffers = vec![
            (Bound::Memory(input), ReadOnly),
            self.table(Which::Weights(down), weights),
            self.table(Which::Offsets, offsets),
            self.maybe(add.map(|(_, buffer)| buffer), ReadOnly),
            self.maybe(gated.map(|(_, _, buffer)| buffer), ReadOnly),
            (Bound::Memory(output), ReadWrite),
            self.maybe(noted.map(|(_, _, buffer)| buffer), ReadWrite),
            self.parameters(&parameters),
        ];
        Launch { kernel: &convolve::KERNEL, groups: parameters.workgroups(), buffers }
    }

    fn sweep(&mut self, input: Option<Placed>, output: Placed, of: Option<&Affine>, mode: u32, bits: Option<Buffer>) -> Launch {
        let same = Affine { each: 1, scale: vec![1.0], shift: vec![0.0] };
        let of = of.unwrap_or(&same);
        let numbers = [of.each, of.scale.len(), of.shift.len()];
        let mut parameters = sweep::Parameters::new(self.images, output.layout.sides, numbers, mode);
        parameters.value = input.map(|input| grid(input.layout.grid())).unwrap_or_default();
        parameters.result = grid(output.layout.grid());
        let affine = || of.scale.iter().chain(&of.shift).copied().collect::<Vec<f32>>();
        let buffers = vec![
            self.maybe(input.map(|input| input.buffer), ReadOnly),
            self.table(Which::Affine, affine),
            self.maybe(bits.filter(|_| mode & GATE != 0), ReadOnly),
            (Bound::Memory(output.buffer), ReadWrite),
            self.maybe(bits.filter(|_| mode & NOTE != 0), ReadWrite),
            self.parameters(&parameters),
        ];
        Launch { kernel: &sweep::KERNEL, groups: parameters.workgroups(), buffers }
    }

    fn border(&mut self, value: Placed) -> Launch {
        let layout = value.layout;
        let ([channels, rows, _], [top, left, bottom, right]) = (layout.sides, layout.border);
        let [_, width] = layout.whole();
        let [before, beside, behind] = [top * width + left, left + right, right + bottom * width];
        let mut parameters = sweep::Parameters::new(self.images, layout.sides, [1, 1, 1], RING);
        parameters.vectors = (channels * (before + (rows - 1) * beside + behind)) as u32;
        [parameters.before, parameters.beside, parameters.behind] = [before, beside, behind].map(|vectors| vectors as u32);
        parameters.result = grid(layout.grid());
        let nothing = || vec![0u32; ALIGNMENT / 4];
        let buffers = vec![
            self.table(Which::Nothing, nothing),
            self.table(Which::Nothing, nothing),
            self.table(Which::Nothing, nothing),
            (Bound::Memory(value.buffer), ReadWrite),
            self.table(Which::Nothing, nothing),
            self.parameters(&parameters),
        ];
        Launch { kernel: &sweep::KERNEL, groups: parameters.workgroups(), buffers }
    }

    fn sum(&mut self, rows: &Rows, input: Buffer, output: Buffer) -> Launch {
        let parameters = sparse_rows::Parameters::new(self.images, rows.to.len(), rows.from.len(), !rows.shift.is_empty());
        let places = || rows.to.iter().chain(&rows.ends).chain(&rows.from).copied().collect::<Vec<u32>>();
        let entries = || rows.weights.iter().chain(&rows.shift).copied().chain([0.0]).collect::<Vec<f32>>();
        let buffers = vec![
            (Bound::Memory(input), ReadOnly),
            self.table(Which::Places, places),
            self.table(Which::Entries, entries),
            (Bound::Memory(output), ReadWrite),
            self.parameters(&parameters),
        ];
        Launch { kernel: &sparse_rows::KERNEL, groups: parameters.workgroups(), buffers }
    }

    fn pool(
        &mut self,
        kernel: &'static Kernel,
        groups: usize,
        buffers: [(Buffer, BufferIOAttr); 3],
        parameters: &max_pool::Parameters,
    ) -> Launch {
        let buffers = buffers.map(|(buffer, io)| (Bound::Memory(buffer), io)).into_iter();
        Launch { kernel, groups, buffers: buffers.chain([self.parameters(parameters)]).collect() }
    }
}

impl Recorder<'_> {
    /// Of what is read, a gradient, and what is written.
    fn unary(&mut self, function: Unary, [value, gradient, result]: [Placed; 3], back: bool) -> Option<Launch> {
        let mut parameters = unary::Parameters::new(self.images, value.layout.sides, function, back)?;
        [parameters.value, parameters.gradient, parameters.result] = [value, gradient, result].map(|value| grid(value.layout.grid()));
        Some(self.three(&unary::KERNEL, parameters.workgroups(), [value, gradient, result], &parameters))
    }

    fn softmax(&mut self, way: softmax::Way, [value, gradient, result]: [Placed; 3]) -> Launch {
        let mut parameters = softmax::Parameters::new(self.images, value.layout.sides, way);
        [parameters.value, parameters.gradient, parameters.result] = [value, gradient, result].map(|value| grid(value.layout.grid()));
        self.three(&softmax::KERNEL, parameters.workgroups(), [value, gradient, result], &parameters)
    }

    fn three<P: bytemuck::Pod>(
        &mut self,
        kernel: &'static Kernel,
        groups: usize,
        [value, gradient, result]: [Placed; 3],
        parameters: &P,
    ) -> Launch {
        let buffers = [(value, ReadOnly), (gradient, ReadOnly), (result, ReadWrite)].map(|(value, io)| (Bound::Memory(value.buffer), io));
        Launch { kernel, groups, buffers: buffers.into_iter().chain([self.parameters(parameters)]).collect() }
    }
}

/// Workgroups and parameters of turning so many rows into a value of so many images, or back.
pub(super) fn turn(client: &Client, device: &cubecl::Device, sizes: [usize; 2], value: Placed) -> (usize, Handle) {
    let parameters = to_lanes::Parameters::new(sizes, value.layout.sides, grid(value.layout.grid()));
    (parameters.workgroups(), parameters_buffer(client, device, bytemuck::bytes_of(&parameters)))
}

fn grid(grid: layout::Grid) -> Grid {
    let [origin, channel, row, column] = [grid.origin, grid.channel, grid.row, grid.column].map(|vectors| vectors as u32);
    Grid { origin, channel, row, column }
}

fn windows(pool: &MaxPool) -> max_pool::Windows {
    let MaxPool { from, to, kernel, stride, padding, dilation } = *pool;
    max_pool::Windows { from, to, kernel, stride, padding, dilation }
}
