//! What lives on the device: one row a slot, with its point, its original, and what the attack remembers.

use burn::tensor::{Device, Int, Tensor};

use super::examples::Examples;
use crate::kernel;
use crate::kernel::row::{NOTES_WORDS, Row, STATE_WORDS, State};
use crate::kernel::words::upload;
use crate::threat::Norm;

/// The device's batch. Tensors are [slots, features] but for `rows` and `state`, which hold [`Row`]s and [`State`]s.
pub struct Slots {
    /// The points that the next forward pass evaluates.
    pub x: Tensor<2>,
    /// The unperturbed examples.
    pub origin: Tensor<2>,
    /// What the attack keeps from step to step: momentum, a direction, or the best point so far.
    pub memory: Tensor<2>,
    /// More of the kind, as many as the attack asks for.
    pub planes: Vec<Tensor<2>>,
    /// [`NOTES_WORDS`] words a slot, with whatever meaning the attack's own kernels give them; zeros at first, and left by the row before.
    pub notes: Tensor<1, Int>,
    /// Parameters of the rows.
    pub rows: Tensor<1, Int>,
    /// State of the rows.
    pub state: Tensor<1, Int>,
    /// The norm that all rows are under.
    pub norm: Norm,
    /// Channels, height and width of an input.
    pub shape: [usize; 3],
    blank: Tensor<1, Int>,
}

impl Slots {
    /// Empty slots, with so many planes.
    pub fn new(count: usize, shape: [usize; 3], norm: Norm, planes: usize, device: &Device) -> Self {
        let zeros = || Tensor::zeros([count, shape.iter().product()], device);
        let blank = upload(&vec![State::default(); count], device);
        Self {
            x: zeros(),
            origin: zeros(),
            memory: zeros(),
            planes: (0..planes).map(|_| zeros()).collect(),
            notes: upload(&vec![[0u32; NOTES_WORDS]; count], device),
            rows: upload(&vec![<Row as bytemuck::Zeroable>::zeroed(); count], device),
            state: blank.clone(),
            norm,
            shape,
            blank,
        }
    }

    /// Copies examples into slots: `positions` names, a slot, which, or -1 to leave the slot alone.
    pub fn admit(&mut self, data: &dyn Examples, positions: &[i32]) {
        self.origin = data.put(self.origin.clone(), positions);
    }

    /// Keeps the slots that are named, in that order; -1 is an empty one. The rows are to be published anew.
    pub fn gather(&mut self, kept: &[i32]) {
        let device = self.x.device();
        let features = self.x.dims()[1];
        let index = upload(kept, &device);
        let floats = |tensor: &mut Tensor<2>| {
            *tensor = kernel::admit(Tensor::zeros([kept.len(), features], &device), tensor.clone(), index.clone());
        };
        [&mut self.x, &mut self.origin, &mut self.memory].into_iter().chain(&mut self.planes).for_each(floats);
        // An empty slot has a row of no generation, whatever else it holds.
        let any: Vec<i32> = kept.iter().map(|&slot| slot.max(0)).collect();
        let index = upload(&any, &device);
        let words = |tensor: &Tensor<1, Int>, words: usize| -> Tensor<1, Int> {
            let slots = tensor.dims()[0] / words;
            tensor.clone().reshape([slots, words]).select(0, index.clone()).reshape([kept.len() * words])
        };
        self.notes = words(&self.notes, NOTES_WORDS);
        self.state = words(&self.state, STATE_WORDS);
        self.rows = upload(&vec![<Row as bytemuck::Zeroable>::zeroed(); kept.len()], &device);
        self.blank = upload(&vec![State::default(); kept.len()], &device);
    }

    /// Puts fresh rows at their originals or at random points of their balls.
    pub fn place_fresh_rows(&mut self) {
        self.random_start(false);
    }

    /// Puts fresh and running rows at new random points of their balls.
    pub fn redraw_rows(&mut self) {
        self.random_start(true);
    }

    fn random_start(&mut self, redraw: bool) {
        self.x = kernel::random_start(self.x.clone(), self.origin.clone(), self.rows.clone(), self.state.clone(), self.norm, redraw);
    }

    /// Projects every row's point on its ball and clips it to [0, 1].
    pub fn project(&mut self) {
        // A step of size zero is the projection.
        match self.norm {
            Norm::L1 => self.x = kernel::l1_project(self.x.clone(), self.origin.clone(), self.rows.clone()),
            _ => self.step_along(self.memory.clone()),
        }
    }

    /// Moves running rows one step along `direction`, projects on the ball, clips to [0, 1].
    pub fn step_along(&mut self, direction: Tensor<2>) {
        (self.x, self.state) = self.step(direction, self.state.clone());
    }

    /// Puts rows that start from what was kept one step from their originals along `memory`.
    pub fn start_from_memory(&mut self) {
        // Before a state of no generation every row is fresh, so no running row moves.
        (self.x, _) = self.step(self.memory.clone(), self.blank.clone());
    }

    fn step(&self, direction: Tensor<2>, state: Tensor<1, Int>) -> (Tensor<2>, Tensor<1, Int>) {
        let step = match self.norm {
            Norm::Linf => kernel::linf_step,
            Norm::L2 => kernel::l2_step,
            Norm::L1 | Norm::L0 => unreachable!("the plan refuses attacks under norms that they do not support"),
        };
        step(self.x.clone(), self.origin.clone(), direction, self.rows.clone(), state)
    }

    /// Adds the running rows' gradients, divided by their l1 norms, to their decayed momenta in `memory`.
    pub fn gather_momentum(&mut self, gradient: Tensor<2>) {
        let (memory, state) = kernel::momentum(self.memory.clone(), gradient, self.rows.clone(), self.state.clone());
        (self.memory, self.state) = (memory, state);
    }

    /// Copies the points of rows with a new best score into `memory`.
    pub fn keep_best(&mut self) {
        self.memory = kernel::keep_best(self.memory.clone(), self.x.clone(), self.rows.clone(), self.state.clone());
    }
}
