//! What a run cost on the clock and on the devices.

use super::record::SeriesKey;
use super::results::{Cell, CellTiming, DefenceTiming, Timing};

/// What some work cost.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Cost {
    /// Wall seconds of the worker.
    pub seconds: f64,
    /// Forward passes that the device did, slots times steps.
    pub device_forwards: u64,
    /// Backward passes likewise.
    pub device_backwards: u64,
    /// Slots that held a running row, summed over the steps.
    pub active: u64,
    /// Slots that there were, summed over the steps.
    pub capacity: u64,
    /// As `active`, of the steps while rows waited for a slot.
    pub fed_active: u64,
    /// As `capacity`, of those steps.
    pub fed_capacity: u64,
}

impl std::ops::AddAssign for Cost {
    fn add_assign(&mut self, other: Self) {
        self.seconds += other.seconds;
        self.device_forwards += other.device_forwards;
        self.device_backwards += other.device_backwards;
        self.active += other.active;
        self.capacity += other.capacity;
        self.fed_active += other.fed_active;
        self.fed_capacity += other.fed_capacity;
    }
}

/// What a run cost so far, over all the times that it was continued.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Spent {
    /// Wall seconds of the run.
    pub seconds: f64,
    /// Cost of each series, in the order of their keys.
    pub series: Vec<(SeriesKey, Cost)>,
}

/// `timing` of the results. A cell's seconds are its share of the series' seconds by propagations (forwards plus backwards); equal shares
/// where nothing was propagated.
pub fn timing(spent: &Spent, cells: &[Cell], defences: Vec<DefenceTiming>) -> Timing {
    let total = |of: fn(&Cost) -> u64| spent.series.iter().map(|(_, cost)| of(cost)).sum::<u64>();
    let share = |active, capacity| if capacity == 0 { 0.0 } else { active as f64 / capacity as f64 };
    let mut timings = Vec::with_capacity(cells.len());
    for (key, cost) in &spent.series {
        let of_series: Vec<&Cell> =
            cells.iter().filter(|cell| cell.defence == key.defence && cell.attack == key.attack && cell.norm == key.norm).collect();
        let all: u64 = of_series.iter().map(|cell| cell.forwards + cell.backwards).sum();
        timings.extend(of_series.iter().map(|cell| {
            let share = if all == 0 { 1.0 / of_series.len() as f64 } else { (cell.forwards + cell.backwards) as f64 / all as f64 };
            CellTiming {
                defence: cell.defence.clone(),
                attack: cell.attack.clone(),
                norm: cell.norm,
                epsilon: cell.epsilon,
                seconds: cost.seconds * share,
            }
        }));
    }
    Timing {
        seconds: spent.seconds,
        device_forwards: total(|cost| cost.device_forwards),
        device_backwards: total(|cost| cost.device_backwards),
        occupancy: share(total(|cost| cost.active), total(|cost| cost.capacity)),
        occupancy_fed: share(total(|cost| cost.fed_active), total(|cost| cost.fed_capacity)),
        cells: timings,
        certificates: Vec::new(),
        defences,
    }
}
