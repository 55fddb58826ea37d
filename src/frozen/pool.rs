//! Max pooling, which keeps for each result the number of the window's element that won.

use super::lanes::{BLOCK, Lanes, Task};
use super::layout::Grid;

/// Windows over a value.
#[derive(Clone, Debug)]
pub(super) struct MaxPool {
    /// Rows and columns of what it reads.
    pub(super) from: [usize; 2],
    /// Channels, rows and columns of what it gives.
    pub(super) to: [usize; 3],
    pub(super) kernel: [usize; 2],
    pub(super) stride: [usize; 2],
    /// Top and left.
    pub(super) padding: [usize; 2],
    pub(super) dilation: [usize; 2],
}

impl MaxPool {
    /// Elements of a window that are counted in one byte.
    pub(super) const LARGEST: usize = 255;

    /// The winner's number where none has won.
    const NONE: u8 = 255;

    /// Whether an element lies in one window at most.
    fn is_apart(&self) -> bool {
        (0..2).all(|axis| self.stride[axis] > (self.kernel[axis] - 1) * self.dilation[axis])
    }

    /// The window's elements within the value: their numbers and pixels.
    #[inline(always)]
    fn each(&self, row: usize, column: usize, mut seen: impl FnMut(u8, usize, usize)) {
        for down in 0..self.kernel[0] {
            let y = (row * self.stride[0] + down * self.dilation[0]).wrapping_sub(self.padding[0]);
            for across in 0..self.kernel[1] {
                let x = (column * self.stride[1] + across * self.dilation[1]).wrapping_sub(self.padding[1]);
                if y < self.from[0] && x < self.from[1] {
                    seen((down * self.kernel[1] + across) as u8, y, x);
                }
            }
        }
    }
}

/// Forward: the largest of each window, the first among equals; a NaN is the largest.
pub(super) struct Largest<'a> {
    pub(super) pool: &'a MaxPool,
    pub(super) input: (Grid, *const f32),
    pub(super) output: (Grid, *mut f32),
    pub(super) winners: *mut u8,
}

impl Task for Largest<'_> {
    #[inline(always)]
    unsafe fn run<V: Lanes>(self) {
        let [channels, rows, columns] = self.pool.to;
        let mut winners = self.winners;
        for channel in 0..channels {
            for row in 0..rows {
                for column in 0..columns {
                    for part in (0..BLOCK).step_by(V::WIDTH) {
                        // SAFETY: the pixels lie within the values; there is a winner for each result.
                        unsafe {
                            // What comes first stands until something larger comes.
                            let (mut best, mut winner) = (V::splat(f32::NEG_INFINITY), V::splat(f32::from(MaxPool::NONE)));
                            self.pool.each(row, column, |number, y, x| {
                                let seen = V::load(self.input.1.add(BLOCK * self.input.0.at(channel, y, x) + part));
                                seen.contest(&mut best, f32::from(number), &mut winner);
                            });
                            best.store(self.output.1.add(BLOCK * self.output.0.at(channel, row, column) + part));
                            let mut numbers = [0.0f32; BLOCK];
                            winner.store(numbers.as_mut_ptr());
                            for number in &numbers[..V::WIDTH] {
                                // Where all are minus infinity none has won.
                                winners.write(*number as u8);
                                winners = winners.add(1);
                            }
                        }
                    }
                }
            }
        }
    }
}

/// Backward: each result's gradient to the element that won.
pub(super) struct ToWinners<'a> {
    pub(super) pool: &'a MaxPool,
    pub(super) gradient: (Grid, *const f32),
    /// Zeros to begin with.
    pub(super) output: (Grid, *mut f32),
    pub(super) winners: *const u8,
}

impl Task for ToWinners<'_> {
    #[inline(always)]
    unsafe fn run<V: Lanes>(self) {
        let [channels, rows, columns] = self.pool.to;
        let apart = self.pool.is_apart();
        let mut winners = self.winners.cast::<[u8; BLOCK]>();
        for channel in 0..channels {
            for row in 0..rows {
                for column in 0..columns {
                    // SAFETY: pixels lie within the values; there is a winner for each result.
                    unsafe {
                        let winner = winners.read();
                        winners = winners.add(1);
                        let gradient = self.gradient.1.add(BLOCK * self.gradient.0.at(channel, row, column)).cast::<[f32; BLOCK]>().read();
                        self.pool.each(row, column, |number, y, x| {
                            let to = self.output.1.add(BLOCK * self.output.0.at(channel, y, x)).cast::<[f32; BLOCK]>();
                            let won: [f32; BLOCK] = std::array::from_fn(|lane| if winner[lane] == number { gradient[lane] } else { 0.0 });
                            if apart {
                                to.write(won);
                            } else {
                                let before = to.read();
                                to.write(std::array::from_fn(|lane| before[lane] + won[lane]));
                            }
                        });
                    }
                }
            }
        }
    }
}
