//! The devices of a run as they come and go, and the workers of a series on them.
//!
//! A device whose memory is exhausted is retired and opened anew with half the slots; what it had not committed is run again. A device that is
//! lost leaves its rows to the others.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::run::Run;
use super::schedule::{Worker, caught};
use super::stations::Station;
use crate::device;
use crate::evaluate::results::DeviceInfo;
use crate::store::{Store, device_kind};
use crate::{Error, Result};

/// The fact that has, of each kind of device, the slot counts that this run went through.
const SLOTS: &str = "slots that memory held";

type Slots = BTreeMap<String, Vec<usize>>;

/// The devices of a run, each in a place of its own; a place is empty once its device is lost.
pub(super) struct Stations(Mutex<Vec<Option<Arc<Station>>>>);

impl Stations {
    pub(super) fn new(stations: Vec<Station>) -> Self {
        Self(Mutex::new(stations.into_iter().map(|station| Some(Arc::new(station))).collect()))
    }

    fn places(&self) -> MutexGuard<'_, Vec<Option<Arc<Station>>>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Those that are there, with their places.
    fn present(&self) -> Vec<(usize, Arc<Station>)> {
        self.places().iter().enumerate().filter_map(|(place, station)| Some((place, station.clone()?))).collect()
    }

    /// Those that are there.
    pub(super) fn all(&self) -> Vec<Arc<Station>> {
        self.present().into_iter().map(|(_, station)| station).collect()
    }

    /// The first that is there, and its place.
    ///
    /// # Errors
    /// All are lost.
    pub(super) fn first_place(&self) -> Result<(usize, Arc<Station>)> {
        self.present().into_iter().next().ok_or_else(|| Error::device("no device is left to run on").help(AGAIN))
    }

    /// The first that is there.
    ///
    /// # Errors
    /// All are lost.
    pub(super) fn first(&self) -> Result<Arc<Station>> {
        Ok(self.first_place()?.1)
    }

    /// Begins with as many slots as memory held when the run was here before.
    ///
    /// # Errors
    /// A store that cannot be read.
    pub(super) fn recall(&self, store: &Store) -> Result<()> {
        let before = slots(store)?;
        for station in self.places().iter_mut().flatten() {
            let least = before.get(&base(&station.info)).and_then(|slots| slots.iter().min());
            if let Some(&least) = least.filter(|&&least| least < station.info.slots) {
                *station = Arc::new(station.with_slots(least));
            }
        }
        Ok(())
    }

    /// Opens anew, with half the slots, a device whose memory is exhausted; `None` where it is not that, or half of a slot would be left.
    pub(super) fn renew(&self, place: usize, failed: &Station, error: &Error, run: &Run) -> Option<Arc<Station>> {
        let mut slots = failed.info.slots;
        let mut handle = failed.handle.clone();
        let mut error = error.clone();
        while slots > 1 && device::is_exhausted(&handle, &error) {
            slots /= 2;
            let DeviceInfo { name, .. } = &failed.info;
            let line = format!("{name} ran out of memory with {} slots and goes on with {slots}; what it was at is run again", 2 * slots);
            tracing::warn!(device = %name, slots, %error, "memory exhausted");
            run.observer.note(&line);
            handle = match device::reopen(&handle) {
                Ok(handle) => handle,
                Err(error) => {
                    tracing::error!(device = %name, %error, "the device cannot be opened anew");
                    return None;
                }
            };
            match caught(|| Ok(failed.anew(&handle, slots, &run.resolved.data))) {
                Ok(station) => {
                    // Without it, going on later would begin with too many slots again, and find its way down again.
                    if let Err(error) = remember(run.store, &failed.info, slots) {
                        tracing::error!(device = %name, slots, %error, "the number of slots cannot be kept");
                        run.observer.note(&format!("{name}: {error}"));
                    }
                    let station = Arc::new(station);
                    self.places()[place] = Some(station.clone());
                    return Some(station);
                }
                Err(other) => error = other,
            }
        }
        None
    }

    /// Gives a card up for the rest of the run; whether another device is left. The processor stays.
    pub(super) fn lose(&self, place: usize) -> bool {
        let mut places = self.places();
        let others = places.iter().flatten().count() > 1;
        if others && places[place].as_ref().is_some_and(|station| station.handle.setup.is_some()) {
            places[place] = None;
        }
        others
    }
}

const AGAIN: &str = "what was done is kept: run the same command again, with --device cpu or a smaller --memory if it happens again";

/// What names a device whatever its slots.
fn base(info: &DeviceInfo) -> String {
    device_kind(&DeviceInfo { slots: 0, ..info.clone() })
}

fn slots(store: &Store) -> Result<Slots> {
    let damaged =
        |error| Error::store(format!("the slot counts of the run cannot be read: {error}")).help("run the suite again with --fresh");
    store.fact(SLOTS)?.map_or(Ok(Slots::new()), |text| serde_json::from_str(&text).map_err(damaged))
}

/// Takes down that a device went on with fewer slots.
fn remember(store: &Store, info: &DeviceInfo, now: usize) -> Result<()> {
    let mut all = slots(store)?;
    let of_device = all.entry(base(info)).or_default();
    for count in [info.slots, now] {
        if !of_device.contains(&count) {
            of_device.push(count);
        }
    }
    store.put_fact(SLOTS, &serde_json::to_string(&all).expect("slot counts are plain JSON"))
}

/// The kinds that these devices went through in this run besides what they are now.
///
/// # Errors
/// A store that cannot be read.
pub(super) fn earlier_kinds(store: &Store, stations: &Stations) -> Result<Vec<String>> {
    let before = slots(store)?;
    let kinds = |station: Arc<Station>| {
        let counts = before.get(&base(&station.info)).cloned().unwrap_or_default();
        counts.into_iter().map(move |slots| device_kind(&DeviceInfo { slots, ..station.info.clone() }))
    };
    Ok(stations.all().into_iter().flat_map(kinds).collect())
}

/// The workers of a series.
pub(super) struct Crew<'a> {
    run: &'a Run<'a>,
    make: &'a (dyn Fn(&Station) -> Worker + Sync),
    members: Mutex<Vec<Member>>,
}

struct Member {
    place: usize,
    station: Arc<Station>,
    worker: Worker,
    lost: bool,
}

impl<'a> Crew<'a> {
    /// A worker for each batch of each device.
    pub(super) fn new(run: &'a Run, make: &'a (dyn Fn(&Station) -> Worker + Sync)) -> Self {
        let several = |(place, station): (usize, Arc<Station>)| {
            (0..station.workers).map(move |_| Member { place, worker: make(&station), station: station.clone(), lost: false })
        };
        Self { run, make, members: Mutex::new(run.stations.present().into_iter().flat_map(several).collect()) }
    }

    fn members(&self) -> MutexGuard<'_, Vec<Member>> {
        self.members.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The workers that are left, for one schedule.
    pub(super) fn workers(&self) -> Vec<Worker> {
        let mut members = self.members();
        members.retain(|member| !member.lost);
        members.iter().map(|member| member.worker.clone()).collect()
    }

    /// What results say of the first.
    ///
    /// # Errors
    /// None is left.
    pub(super) fn first(&self) -> Result<DeviceInfo> {
        let first = self.members().iter().find(|member| !member.lost).map(|member| member.worker.info.clone());
        first.ok_or_else(|| Error::device("no device is left to run on").help(AGAIN))
    }

    /// What takes the place of a worker of the schedule that failed.
    pub(super) fn renew(&self, at: usize, error: &Error) -> Option<Worker> {
        let (place, station) = {
            let members = self.members();
            (members[at].place, members[at].station.clone())
        };
        let renewed = self.run.stations.renew(place, &station, error, self.run);
        let worker = renewed.as_ref().and_then(|station| caught(|| Ok((self.make)(station))).ok());
        let mut members = self.members();
        let member = &mut members[at];
        match (renewed, worker) {
            (Some(station), Some(worker)) => {
                (member.station, member.worker) = (station, worker.clone());
                Some(worker)
            }
            _ => {
                member.lost = true;
                self.run.stations.lose(place);
                None
            }
        }
    }
}
