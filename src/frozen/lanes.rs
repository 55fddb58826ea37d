//! Vectors of images: the instructions that the plan's loops are compiled for, and the choice among them when the program runs.

#[cfg(target_arch = "x86_64")]
use std::arch::x86_64::*;
use std::sync::OnceLock;

/// Images of a block. A value holds its features one after the other, each as so many numbers, one an image.
pub const BLOCK: usize = 16;

/// A register of images. Loads and stores are of `WIDTH` numbers.
///
/// # Safety
/// The methods may be called only where the processor has the instructions: inside [`Task::run`], which [`dispatch`] calls.
pub(super) unsafe trait Lanes: Copy {
    /// Images in a register: 8 or 16.
    const WIDTH: usize;
    /// Columns of a convolution's result that are summed side by side, for four channels each, without running out of registers.
    const COLUMNS: usize;
    /// The same for six channels.
    const FEW_COLUMNS: usize;

    unsafe fn splat(number: f32) -> Self;
    unsafe fn load(from: *const f32) -> Self;
    unsafe fn store(self, to: *mut f32);
    unsafe fn add(self, other: Self) -> Self;
    unsafe fn subtract(self, other: Self) -> Self;
    /// self * a + b, rounded once where the processor can.
    unsafe fn multiply_add(self, a: Self, b: Self) -> Self;
    /// max(self, 0), NaN kept; which are above 0 is written as a bit each.
    unsafe fn rectify(self, above: *mut u8) -> Self;
    /// Those whose bit is set, the others 0.
    unsafe fn keep(self, bits: *const u8) -> Self;
    /// Takes the place of `best`, and `number` that of `winner`, where it is larger or a NaN.
    unsafe fn contest(self, best: &mut Self, number: f32, winner: &mut Self);
}

/// Work over images, to be compiled for each set of instructions.
pub(super) trait Task {
    /// Does it; must be `#[inline(always)]`, with all that it calls.
    ///
    /// # Safety
    /// The processor has the instructions of `V`.
    unsafe fn run<V: Lanes>(self);
}

/// A set of instructions.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Level {
    /// Registers of 16 numbers: AVX-512 F, VL, BW and DQ.
    #[cfg(target_arch = "x86_64")]
    Avx512,
    /// Registers of 8 numbers: AVX2 and FMA.
    #[cfg(target_arch = "x86_64")]
    Avx2,
    /// What every processor of the target has.
    Portable,
}

impl Level {
    /// What this processor has, the best first.
    pub fn available() -> &'static [Self] {
        static LEVELS: OnceLock<Vec<Level>> = OnceLock::new();
        LEVELS.get_or_init(|| {
            let mut levels = vec![Self::Portable];
            #[cfg(target_arch = "x86_64")]
            if is_x86_feature_detected!("avx2") && is_x86_feature_detected!("fma") {
                levels.insert(0, Self::Avx2);
                let wide = is_x86_feature_detected!("avx512f") && is_x86_feature_detected!("avx512vl");
                if wide && is_x86_feature_detected!("avx512bw") && is_x86_feature_detected!("avx512dq") {
                    levels.insert(0, Self::Avx512);
                }
            }
            levels
        })
    }

    /// The best that suffices for half a block.
    pub(super) fn halved(self) -> Self {
        match self {
            #[cfg(target_arch = "x86_64")]
            Self::Avx512 => Self::Avx2,
            other => other,
        }
    }
}

/// Runs a task with the instructions of `level`, which is one of [`Level::available`].
pub(super) fn dispatch(level: Level, task: impl Task) {
    // SAFETY: the processor has them.
    unsafe {
        match level {
            #[cfg(target_arch = "x86_64")]
            Level::Avx512 => avx512(task),
            #[cfg(target_arch = "x86_64")]
            Level::Avx2 => avx2(task),
            Level::Portable => task.run::<Portable>(),
        }
    }
}

#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx512f,avx512vl,avx512bw,avx512dq,avx2,fma")]
unsafe fn avx512<T: Task>(task: T) {
    unsafe { task.run::<Avx512>() }
}

#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx2,fma")]
unsafe fn avx2<T: Task>(task: T) {
    unsafe { task.run::<Avx2>() }
}

#[cfg(target_arch = "x86_64")]
#[derive(Clone, Copy)]
struct Avx512(__m512);

#[cfg(target_arch = "x86_64")]
unsafe impl Lanes for Avx512 {
    const WIDTH: usize = 16;
    const COLUMNS: usize = 6;
    const FEW_COLUMNS: usize = 4;

    #[inline(always)]
    unsafe fn splat(number: f32) -> Self {
        unsafe { Self(_mm512_set1_ps(number)) }
    }
    #[inline(always)]
    unsafe fn load(from: *const f32) -> Self {
        unsafe { Self(_mm512_loadu_ps(from)) }
    }
    #[inline(always)]
    unsafe fn store(self, to: *mut f32) {
        unsafe { _mm512_storeu_ps(to, self.0) }
    }
    #[inline(always)]
    unsafe fn add(self, other: Self) -> Self {
        unsafe { Self(_mm512_add_ps(self.0, other.0)) }
    }
    #[inline(always)]
    unsafe fn subtract(self, other: Self) -> Self {
        unsafe { Self(_mm512_sub_ps(self.0, other.0)) }
    }
    #[inline(always)]
    unsafe fn multiply_add(self, a: Self, b: Self) -> Self {
        unsafe { Self(_mm512_fmadd_ps(self.0, a.0, b.0)) }
    }
    #[inline(always)]
    unsafe fn rectify(self, above: *mut u8) -> Self {
        unsafe {
            let zero = _mm512_setzero_ps();
            above.cast::<u16>().write_unaligned(_mm512_cmp_ps_mask::<_CMP_GT_OQ>(self.0, zero));
            Self(_mm512_max_ps(zero, self.0))
        }
    }
    #[inline(always)]
    unsafe fn keep(self, bits: *const u8) -> Self {
        unsafe { Self(_mm512_maskz_mov_ps(bits.cast::<u16>().read_unaligned(), self.0)) }
    }
    #[inline(always)]
    unsafe fn contest(self, best: &mut Self, number: f32, winner: &mut Self) {
        unsafe {
            let wins = _mm512_cmp_ps_mask::<_CMP_GT_OQ>(self.0, best.0) | _mm512_cmp_ps_mask::<_CMP_UNORD_Q>(self.0, self.0);
            best.0 = _mm512_mask_mov_ps(best.0, wins, self.0);
            winner.0 = _mm512_mask_mov_ps(winner.0, wins, _mm512_set1_ps(number));
        }
    }
}

#[cfg(target_arch = "x86_64")]
#[derive(Clone, Copy)]
struct Avx2(__m256);

#[cfg(target_arch = "x86_64")]
unsafe impl Lanes for Avx2 {
    const WIDTH: usize = 8;
    const COLUMNS: usize = 2;
    const FEW_COLUMNS: usize = 2;

    #[inline(always)]
    unsafe fn splat(number: f32) -> Self {
        unsafe { Self(_mm256_set1_ps(number)) }
    }
    #[inline(always)]
    unsafe fn load(from: *const f32) -> Self {
        unsafe { Self(_mm256_loadu_ps(from)) }
    }
    #[inline(always)]
    unsafe fn store(self, to: *mut f32) {
        unsafe { _mm256_storeu_ps(to, self.0) }
    }
    #[inline(always)]
    unsafe fn add(self, other: Self) -> Self {
        unsafe { Self(_mm256_add_ps(self.0, other.0)) }
    }
    #[inline(always)]
    unsafe fn subtract(self, other: Self) -> Self {
        unsafe { Self(_mm256_sub_ps(self.0, other.0)) }
    }
    #[inline(always)]
    unsafe fn multiply_add(self, a: Self, b: Self) -> Self {
        unsafe { Self(_mm256_fmadd_ps(self.0, a.0, b.0)) }
    }
    #[inline(always)]
    unsafe fn rectify(self, above: *mut u8) -> Self {
        unsafe {
            let zero = _mm256_setzero_ps();
            *above = _mm256_movemask_ps(_mm256_cmp_ps::<_CMP_GT_OQ>(self.0, zero)) as u8;
            Self(_mm256_max_ps(zero, self.0))
        }
    }
    #[inline(always)]
    unsafe fn keep(self, bits: *const u8) -> Self {
        unsafe {
            let bit = _mm256_setr_epi32(1, 2, 4, 8, 16, 32, 64, 128);
            let kept = _mm256_cmpeq_epi32(_mm256_and_si256(_mm256_set1_epi32(i32::from(*bits)), bit), bit);
            Self(_mm256_and_ps(self.0, _mm256_castsi256_ps(kept)))
        }
    }
    #[inline(always)]
    unsafe fn contest(self, best: &mut Self, number: f32, winner: &mut Self) {
        unsafe {
            let larger = _mm256_cmp_ps::<_CMP_GT_OQ>(self.0, best.0);
            let wins = _mm256_or_ps(larger, _mm256_cmp_ps::<_CMP_UNORD_Q>(self.0, self.0));
            best.0 = _mm256_blendv_ps(best.0, self.0, wins);
            winner.0 = _mm256_blendv_ps(winner.0, _mm256_set1_ps(number), wins);
        }
    }
}

/// Plain Rust, which the compiler turns into whatever vectors every processor of the target has.
#[derive(Clone, Copy)]
struct Portable([f32; 8]);

unsafe impl Lanes for Portable {
    const WIDTH: usize = 8;
    const COLUMNS: usize = 2;
    const FEW_COLUMNS: usize = 2;

    #[inline(always)]
    unsafe fn splat(number: f32) -> Self {
        Self([number; 8])
    }
    #[inline(always)]
    unsafe fn load(from: *const f32) -> Self {
        unsafe { Self(from.cast::<[f32; 8]>().read()) }
    }
    #[inline(always)]
    unsafe fn store(self, to: *mut f32) {
        unsafe { to.cast::<[f32; 8]>().write(self.0) }
    }
    #[inline(always)]
    unsafe fn add(self, other: Self) -> Self {
        Self(std::array::from_fn(|lane| self.0[lane] + other.0[lane]))
    }
    #[inline(always)]
    unsafe fn subtract(self, other: Self) -> Self {
        Self(std::array::from_fn(|lane| self.0[lane] - other.0[lane]))
    }
    #[inline(always)]
    unsafe fn multiply_add(self, a: Self, b: Self) -> Self {
        // Where the processor may have no such instruction the library's function is a hundred times slower than two roundings.
        let one = |lane: usize| match cfg!(target_arch = "aarch64") {
            true => self.0[lane].mul_add(a.0[lane], b.0[lane]),
            false => self.0[lane] * a.0[lane] + b.0[lane],
        };
        Self(std::array::from_fn(one))
    }
    #[inline(always)]
    unsafe fn rectify(self, above: *mut u8) -> Self {
        let bits = (0..8).fold(0, |bits, lane| bits | u8::from(self.0[lane] > 0.0) << lane);
        unsafe { *above = bits };
        Self(self.0.map(|number| if number < 0.0 { 0.0 } else { number }))
    }
    #[inline(always)]
    unsafe fn keep(self, bits: *const u8) -> Self {
        let bits = unsafe { *bits };
        Self(std::array::from_fn(|lane| if (bits >> lane) & 1 == 1 { self.0[lane] } else { 0.0 }))
    }
    #[inline(always)]
    unsafe fn contest(self, best: &mut Self, number: f32, winner: &mut Self) {
        for ((seen, best), winner) in self.0.into_iter().zip(&mut best.0).zip(&mut winner.0) {
            let wins = seen > *best || seen.is_nan();
            *best = if wins { seen } else { *best };
            *winner = if wins { number } else { *winner };
        }
    }
}
