//! Who gets how many examples next, so that devices of any number and speed finish together.
//!
//! A pure decision: it knows examples by number only and time by what it is told, so that real workers and a simulated clock drive the
//! same code. The chunks that it hands out shrink with what is left (guided self-scheduling: Polychronopoulos and Kuck 1987, IEEE
//! Transactions on Computers 36), and it counts what a device already holds: a device fills its slots at once, so what is handed out early
//! waits there. Four rules do the rest.
//! - No device holds more than its share, by speed, of all that is not ended.
//! - A device takes nothing that it would end after the others could have ended everything.
//! - Where nothing is left and a device holds rows that an idle one would end in half the time that they will still take, they are taken back
//!   and run again, those of all such devices together; of a slow device that is late, they are expected to take as long again as it is late.
//! - Where nothing is left, devices of one kind give each other rows that are under way ([`Shares::taker`]).
//!
//! Both speeds of a device are measured as rows end. How fast one row goes: seconds from being taken to being ended by propagations, of the
//! row that went fastest. How much it does: what it did in all, judgements and empty slots included, by those seconds, of when it did most.
//! They are not one number by the slots, because rows that are few may go in fewer slots, and then faster.

mod level;

/// Examples that are handed out, and committed, together, at most.
pub const CHUNK: usize = 32;

/// Part of its share of what is left that a device gets at once.
const PART: f64 = 0.5;

/// How much sooner an idle device must be done with a slow one's rows for them to be run again.
const SOONER: f64 = 0.5;

/// A device that does less than this part of what another does is slower, and not one whose speed was measured otherwise.
const SLOWER: f64 = 0.7;

/// The least time that a row can have taken, seconds: clocks tick.
const TICK: f64 = 1e-9;

/// What a device is told that asks for examples.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Grant {
    /// So many examples, one at least.
    Take(usize),
    /// Nothing now: ask again when a row ended somewhere, or a while later.
    Wait,
    /// That device holds rows which this one would end much sooner: they are to be taken back ([`Shares::relieve`]).
    Relieve(usize),
    /// Everything is ended.
    End,
}

/// What is known of a device.
#[derive(Clone, Debug)]
struct Device {
    slots: usize,
    held: usize,
    gone: bool,
    relieved: bool,
    /// Seconds that a propagation takes a row, of the row that went fastest on a device of this kind; infinite before one ended.
    pace: f64,
    /// Propagations a second in all, at the most; 0 before a row ended.
    speed: f64,
    /// The same of the fastest device of this kind.
    alike: f64,
    /// When it last took something; of what it was given, when the giver did.
    taken: f64,
    /// Number of its kind; `None` where it is like no other.
    kind: Option<usize>,
    /// Whether it has nothing, and waits.
    waits: bool,
}

impl Device {
    fn new(slots: usize) -> Self {
        Self {
            slots: slots.max(1),
            held: 0,
            gone: false,
            relieved: false,
            pace: f64::INFINITY,
            speed: 0.0,
            alike: 0.0,
            taken: 0.0,
            kind: None,
            waits: false,
        }
    }
}

/// What a row came to that ended on a device.
#[derive(Clone, Copy, Debug)]
pub struct Ended {
    /// Propagations of it since the device took it.
    pub work: f64,
    /// Propagations of it in all.
    pub whole: f64,
    /// Seconds since the device took it.
    pub seconds: f64,
    /// Propagations that the device did in them.
    pub all: f64,
}

/// The examples of a series, shared out among devices.
#[derive(Clone, Debug)]
pub struct Shares {
    left: usize,
    /// How many of those, at the most, were taken back from slow devices.
    returned: usize,
    devices: Vec<Device>,
    ended: usize,
    work: f64,
    longest: f64,
}

impl Shares {
    /// So many examples for devices with so many slots each.
    pub fn new(examples: usize, slots: &[usize]) -> Self {
        Self {
            left: examples,
            returned: 0,
            devices: slots.iter().map(|&slots| Device::new(slots)).collect(),
            ended: 0,
            work: 0.0,
            longest: 0.0,
        }
    }

    /// Devices with the same number are alike: what a row comes to is the same on each, and they give each other rows.
    #[must_use]
    pub fn of_kinds(mut self, kinds: &[usize]) -> Self {
        self.devices.iter_mut().zip(kinds).for_each(|(device, &kind)| device.kind = Some(kind));
        self
    }

    /// What `device` gets at second `now`.
    pub fn ask(&mut self, device: usize, now: f64) -> Grant {
        self.devices[device].waits = false;
        let held: usize = self.devices.iter().map(|device| device.held).sum();
        if self.devices[device].gone || self.left + held == 0 {
            return Grant::End;
        }
        let idle = self.devices[device].held == 0;
        // What was taken back waits until a device that is to have it has taken back what it can.
        let takes = self.left == 0 || self.may_take(device) && self.in_time(device) > 0;
        if idle
            && takes
            && self.left <= self.returned
            && let Some(slow) = self.overdue(device, now)
        {
            return Grant::Relieve(slow);
        }
        if self.left == 0 {
            self.devices[device].waits = idle;
            return Grant::Wait;
        }
        let in_time = self.in_time(device);
        if in_time == 0 || !self.may_take(device) {
            return Grant::Wait;
        }
        let speeds: f64 =
            self.present().filter(|&at| at == device || self.may_take(at) && self.in_time(at) > 0).map(|at| self.speed(at)).sum();
        let part = self.speed(device) / speeds;
        let share = ((self.left + held) as f64 * part).ceil() as usize;
        let Some(room @ 1..) = share.checked_sub(self.devices[device].held) else { return Grant::Wait };
        // Where there is no other to end with, chunks need not shrink.
        let guided = if self.present().count() > 1 { (self.left as f64 * part * PART).ceil() as usize } else { CHUNK };
        let count = room.min(guided).min(in_time).min(CHUNK).clamp(1, self.left);
        self.left -= count;
        self.returned = self.returned.min(self.left);
        self.devices[device].held += count;
        self.devices[device].taken = now;
        Grant::Take(count)
    }

    /// A row of `device` ended.
    pub fn ended(&mut self, device: usize, row: Ended) {
        let (work, whole, seconds) = (row.work.max(1.0), row.whole.max(1.0), row.seconds.max(TICK));
        self.ended += 1;
        self.work += whole;
        self.longest = self.longest.max(whole);
        let at = &mut self.devices[device];
        at.held = at.held.saturating_sub(1);
        at.pace = at.pace.min(seconds / work);
        at.speed = at.speed.max(row.all.max(work) / seconds);
        let Device { kind, pace, speed, .. } = *at;
        for other in self.devices.iter_mut().filter(|other| kind.is_some() && other.kind == kind) {
            other.pace = other.pace.min(pace);
            other.alike = other.alike.max(speed);
        }
    }

    /// `device` takes no more, and of what it took so many examples come back.
    pub fn gone(&mut self, device: usize, back: usize) {
        self.devices[device].gone = true;
        self.devices[device].held = 0;
        self.left += back;
    }

    /// What `device` holds is taken back, so many examples; it takes no more while there are others.
    pub fn relieve(&mut self, device: usize, back: usize) {
        self.devices[device].relieved = true;
        self.devices[device].waits = false;
        self.devices[device].held = 0;
        self.left += back;
        self.returned += back;
    }

    /// A device that was gone is there again, with so many slots: how fast it is with these is not known, and it is like no other.
    pub fn back(&mut self, device: usize, slots: usize) {
        let relieved = self.devices[device].relieved;
        self.devices[device] = Device { relieved, ..Device::new(slots) };
    }

    /// Whether no device is left.
    pub fn is_deserted(&self) -> bool {
        self.devices.iter().all(|device| device.gone)
    }

    fn present(&self) -> impl Iterator<Item = usize> + '_ {
        (0..self.devices.len()).filter(|&at| !self.devices[at].gone)
    }

    /// Whether a device is asked at all: those whose rows were taken back are where there is no other.
    fn may_take(&self, device: usize) -> bool {
        !self.devices[device].relieved || self.present().all(|at| self.devices[at].relieved)
    }

    /// Propagations a second, at the most; those of another of its kind where it has ended nothing itself, unknown where none has.
    fn known(&self, device: usize) -> Option<f64> {
        let Device { speed, alike, .. } = self.devices[device];
        Some(if speed > 0.0 { speed } else { alike }).filter(|&speed| speed > 0.0)
    }

    /// The same; of a device that has ended nothing, as if its slots were like the others'.
    fn speed(&self, device: usize) -> f64 {
        let like_others = || {
            let slots: Vec<f64> = self.present().filter_map(|at| Some(self.known(at)? / self.devices[at].slots as f64)).collect();
            self.devices[device].slots as f64 * if slots.is_empty() { 1.0 } else { slots.iter().sum::<f64>() / slots.len() as f64 }
        };
        self.known(device).unwrap_or_else(like_others)
    }

    /// Seconds that the longest row seen so far takes on a device beside others, so many rows with it; unknown before a row ended there.
    fn latency(&self, device: usize, rows: usize) -> Option<f64> {
        let Device { slots, pace, .. } = self.devices[device];
        Some(self.longest * pace.max(rows.clamp(1, slots) as f64 / self.known(device)?))
    }

    /// Propagations of a row, as far as rows ended.
    fn mean(&self) -> f64 {
        self.work / self.ended.max(1) as f64
    }

    /// How many more rows `device` can take and still end them before the others could have ended everything.
    fn in_time(&self, device: usize) -> usize {
        let beside = |at: usize| self.latency(at, self.devices[at].held + 1);
        let others = || self.present().filter(|&at| at != device && self.may_take(at));
        let fastest = others().filter_map(beside).min_by(f64::total_cmp);
        let Device { slots, held, pace, .. } = self.devices[device];
        let (Some(own), Some(fastest)) = (self.known(device), fastest) else { return usize::MAX };
        let speed: f64 = others().map(|at| self.speed(at)).sum();
        let theirs: usize = others().map(|at| self.devices[at].held).sum();
        let until = (self.left + theirs) as f64 * self.mean() / speed + fastest;
        // The one that would end a row first must never be short of it by a rounding.
        let rows = (until * own / self.longest * (1.0 + 1e-9)) as usize;
        if self.longest * pace > until {
            0
        } else if rows >= slots {
            // More than there are slots wait, and are as fast once they have one.
            usize::MAX
        } else {
            rows.saturating_sub(held)
        }
    }

    /// A device whose rows this one, idle, would end much sooner than it will itself.
    fn overdue(&self, device: usize, now: f64) -> Option<usize> {
        let redone = |at: usize| {
            let held = self.devices[at].held + self.left;
            Some(self.latency(device, held)? * held.div_ceil(self.devices[device].slots) as f64)
        };
        let left = |at: usize| {
            let Device { held, taken, .. } = self.devices[at];
            let age = now - taken;
            // What has ended nothing yet is given as long again as it has had.
            let Some(one) = self.latency(at, held) else { return age };
            let whole = one.max(held as f64 * self.mean() / self.speed(at));
            // What is late, as long again as it is late; but rows go from slow devices to fast ones alone, and so not to and fro.
            let slow = self.speed(at) < SLOWER * self.speed(device) && redone(at).is_some_and(|redone| redone < SOONER * whole);
            if slow { (whole - age).abs() } else { whole - age }
        };
        // What was taken from it must not come back while another is there to take it.
        let taker = |at: usize| !self.devices[device].relieved || self.present().all(|other| other == at || self.devices[other].relieved);
        let gains = |&at: &usize| {
            let holds = at != device && self.devices[at].held > 0;
            holds && taker(at) && redone(at).is_some_and(|redone| redone < SOONER * left(at))
        };
        self.present().filter(gains).max_by(|&a, &b| left(a).total_cmp(&left(b)))
    }
}
