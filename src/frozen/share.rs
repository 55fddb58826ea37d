//! What of a step one thread does, where several work on one block of images.

use std::ops::Range;

use super::lanes::BLOCK;

/// One thread's part of a step.
#[derive(Clone, Copy, Debug)]
pub(super) struct Share {
    number: usize,
    threads: usize,
    /// Lanes that hold images, from the first on.
    pub(super) lanes: usize,
}

impl Share {
    /// All of it.
    pub(super) fn whole(lanes: usize) -> Self {
        Self { number: 0, threads: 1, lanes: lanes.min(BLOCK) }
    }

    /// The parts of so many threads.
    pub(super) fn parts(self, threads: usize) -> impl ExactSizeIterator<Item = Self> {
        (0..threads).map(move |number| Self { number, threads, ..self })
    }

    /// This thread's part of so many things of two kinds, each of one with each of the other: rather of the first kind.
    #[inline(always)]
    pub(super) fn of(&self, counts: [usize; 2]) -> [Range<usize>; 2] {
        let first = self.threads.min(counts[0]).max(1);
        let second = (self.threads / first).min(counts[1]).max(1);
        let part = |number: usize, of: usize, count: usize| number * count / of..(number + 1) * count / of;
        match self.number < first * second {
            true => [part(self.number / second, first, counts[0]), part(self.number % second, second, counts[1])],
            false => [0..0, 0..0],
        }
    }
}
