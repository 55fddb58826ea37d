//! The examples as a device reaches them: all in its memory, or brought there as slots ask for them.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::mpsc::{Sender, channel};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use burn::tensor::{Device, Tensor, TensorData};

use crate::data::Dataset;
use crate::kernel;
use crate::kernel::words::upload;

/// Examples that a device can put into its slots.
pub trait Examples: Send + Sync {
    /// Puts the example at `positions[i]` into row i of `target` [slots, features]; where a position is negative the row stays.
    fn put(&self, target: Tensor<2>, positions: &[i32]) -> Tensor<2>;

    /// Hears which positions will be asked for soon.
    fn expect(&self, _positions: &[usize]) {}
}

/// All examples on the device, [examples, features].
impl Examples for Tensor<2> {
    fn put(&self, target: Tensor<2>, positions: &[i32]) -> Tensor<2> {
        let index = upload(positions, &target.device());
        kernel::admit(target, self.clone(), index)
    }
}

/// Examples that stay with the host and are sent when slots ask for them. A thread reads those that are expected ahead of time, while the
/// device is at its steps.
pub struct Streamed {
    data: Arc<Dataset>,
    device: Device,
    ahead: Arc<Mutex<Ahead>>,
    expected: Sender<Vec<usize>>,
}

/// Calls whose images nothing makes room in place of.
const LATELY: u64 = 4;

/// Images that were read ahead, by position, with the number of the call that expected them.
struct Ahead {
    images: BTreeMap<usize, (u64, Vec<f32>)>,
    most: usize,
}

impl Ahead {
    /// Whether an image of the call of that number is to be read: it is not there yet, and there is room, or what an earlier call expected
    /// and nobody asked for makes some. Such images are left behind where a slot was quicker than the thread, or rows went elsewhere.
    fn has_room(&mut self, position: usize, call: u64) -> bool {
        if self.images.contains_key(&position) {
            return false;
        }
        if self.images.len() == self.most {
            let oldest = self.images.iter().map(|(&at, &(of, _))| (of, at)).min();
            match oldest {
                // What was expected lately may still be asked for.
                Some((of, at)) if of + LATELY < call => drop(self.images.remove(&at)),
                _ => return false,
            }
        }
        true
    }
}

impl Streamed {
    /// The examples of `data` for a device, of which the host holds at most so many ahead.
    ///
    /// # Panics
    /// Where the system grants no thread.
    pub fn new(data: Arc<Dataset>, device: Device, most: usize) -> Self {
        let (expected, positions) = channel::<Vec<usize>>();
        let ahead = Arc::new(Mutex::new(Ahead { images: BTreeMap::new(), most }));
        let (source, read) = (data.clone(), ahead.clone());
        let read_ahead = move || {
            for (call, positions) in (0..).zip(positions) {
                for position in positions {
                    if lock(&read).has_room(position, call) {
                        let image = source.image(position);
                        lock(&read).images.insert(position, (call, image));
                    }
                }
            }
        };
        std::thread::Builder::new().name("read ahead".into()).spawn(read_ahead).expect("the system grants a thread");
        Self { data, device, ahead, expected }
    }
}

fn lock(ahead: &Mutex<Ahead>) -> MutexGuard<'_, Ahead> {
    ahead.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Examples for Streamed {
    fn put(&self, target: Tensor<2>, positions: &[i32]) -> Tensor<2> {
        let wanted: BTreeSet<usize> = positions.iter().filter_map(|&position| usize::try_from(position).ok()).collect();
        if wanted.is_empty() {
            return target;
        }
        let features = self.data.features();
        let mut pixels = Vec::with_capacity(wanted.len() * features);
        for position in &wanted {
            let ahead = lock(&self.ahead).images.remove(position);
            pixels.extend(ahead.map_or_else(|| self.data.image(*position), |(_, image)| image));
        }
        let sent: Tensor<2> = Tensor::from_data(TensorData::new(pixels, [wanted.len(), features]), &self.device);
        let places: BTreeMap<usize, i32> = wanted.into_iter().zip(0..).collect();
        let place = |&position: &i32| usize::try_from(position).map_or(-1, |position| places[&position]);
        sent.put(target, &positions.iter().map(place).collect::<Vec<i32>>())
    }

    fn expect(&self, positions: &[usize]) {
        // Were the thread gone, the images would be read when they are asked for.
        let _ = self.expected.send(positions.to_vec());
    }
}
