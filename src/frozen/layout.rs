//! Where numbers lie: a value is [channels, rows, columns] of vectors, one number an image, with a border of zeros around each channel.

/// A piece of memory, by its number.
pub(super) type Buffer = usize;

/// Sides of a value and of its border, in vectors.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Layout {
    /// Channels, rows, columns.
    pub(super) sides: [usize; 3],
    /// Top, left, bottom, right.
    pub(super) border: [usize; 4],
}

/// A value in memory.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Placed {
    pub(super) buffer: Buffer,
    pub(super) layout: Layout,
}

/// Where the element (channel, row, column) lies: the origin and so many steps, in vectors.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Grid {
    pub(super) origin: usize,
    pub(super) channel: usize,
    pub(super) row: usize,
    pub(super) column: usize,
}

impl Grid {
    #[inline(always)]
    pub(super) fn at(&self, channel: usize, row: usize, column: usize) -> usize {
        self.origin + channel * self.channel + row * self.row + column * self.column
    }

    /// Every `stride`-th pixel, from `first` on.
    pub(super) fn every(self, first: [usize; 2], stride: [usize; 2]) -> Self {
        let origin = self.at(0, first[0], first[1]);
        Self { origin, row: self.row * stride[0], column: self.column * stride[1], ..self }
    }
}

impl Layout {
    /// Without a border.
    pub(super) fn plain(sides: [usize; 3]) -> Self {
        Self { sides, border: [0; 4] }
    }

    /// Rows and columns with the border.
    pub(super) fn whole(&self) -> [usize; 2] {
        let ([_, rows, columns], [top, left, bottom, right]) = (self.sides, self.border);
        [rows + top + bottom, columns + left + right]
    }

    /// Vectors, the border's included.
    pub(super) fn vectors(&self) -> usize {
        let [rows, columns] = self.whole();
        self.sides[0] * rows * columns
    }

    /// Vectors without the border.
    pub(super) fn elements(&self) -> usize {
        self.sides.iter().product()
    }

    pub(super) fn grid(&self) -> Grid {
        let [rows, columns] = self.whole();
        Grid { origin: self.border[0] * columns + self.border[1], channel: rows * columns, row: columns, column: 1 }
    }

    pub(super) fn is_plain(&self) -> bool {
        self.border == [0; 4]
    }

    /// Where the element of that index, counted without the border, lies.
    pub(super) fn position(&self, index: usize) -> usize {
        let [_, rows, columns] = self.sides;
        self.grid().at(index / (rows * columns), index / columns % rows, index % columns)
    }

    /// Whether the border is at least that wide on every side.
    pub(super) fn holds(&self, border: [usize; 4]) -> bool {
        self.border.iter().zip(border).all(|(have, want)| *have >= want)
    }
}

/// The wider of two borders, side by side.
pub(super) fn wider(a: [usize; 4], b: [usize; 4]) -> [usize; 4] {
    std::array::from_fn(|side| a[side].max(b[side]))
}
