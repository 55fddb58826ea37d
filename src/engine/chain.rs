//! A chain: one example on its way through the epsilons of a series.

use crate::evaluate::record::{ExampleOutcomes, Outcome, Settled, Verdict};

/// A break at distance d settles every epsilon of d less this, or more.
const TOLERANCE: f64 = 1e-6;

/// In which order a chain meets its epsilons, and what one tells of the others.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Walk {
    /// From the largest down; breaks settle what lies above their distance, a survival settles what lies below.
    Descending,
    /// Every epsilon by itself.
    Each,
    /// Halving: a break settles what lies above, a survival what lies below. For a rough first look, not for results.
    Bisect,
}

/// The next row of a chain.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NextRow {
    /// Index into the series' epsilons.
    pub epsilon: usize,
    /// How many rows were tried there before.
    pub attempt: u32,
    /// Whether half precision has come to nothing that counts with this row, so that it is to be run in full.
    pub full: bool,
}

/// How a row ended, as its state on the device tells.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum End {
    /// The attack claims a break at this distance; the judge will say.
    Claimed {
        /// Distance in the series' norm.
        distance: f32,
    },
    /// It ran out of steps.
    Survived,
    /// It ran out of steps against dice, which its own draws do not speak for: the judge will say.
    Doubtful,
    /// A number was not finite, or the attack panicked.
    Failed,
    /// A number was not finite in half precision, which says nothing: the row is run again in full.
    Again,
}

#[derive(Clone, Copy, Debug, PartialEq)]
enum Mark {
    /// Nothing has settled it.
    Open,
    /// The attack claims a break; the judge has said nothing yet, or said so.
    Claimed(Option<Word>),
    /// Settled by the claim at another epsilon, if that holds.
    Within { claim: usize, distance: f32 },
    /// Survived with what is doubtful at a larger epsilon, if the judge says that it survived.
    Below { claim: usize },
    /// Settled.
    Settled { verdict: Verdict, by: Settled, distance: Option<f32> },
}

/// The judge's word on a claim.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Word {
    /// It holds, at this distance in the series' norm.
    Broken(f32),
    /// The point, put right, is not adversarial.
    Refused,
    /// Likewise, of a row that searched in half precision and thought itself done: it is run again in full.
    Again,
    /// A number was not finite.
    Failed,
}

#[derive(Clone, Copy, Debug)]
struct Stop {
    mark: Mark,
    attempt: u32,
    full: bool,
    forwards: u32,
    backwards: u32,
}

impl Stop {
    fn next_attempt(&mut self) {
        self.attempt += 1;
        self.full = false;
    }
}

/// One example on its way through the epsilons of a series.
#[derive(Clone, Debug)]
pub struct Chain {
    /// Position of the example in the data.
    pub position: usize,
    /// Its stable id.
    pub example: u32,
    /// Its class.
    pub label: u32,
    /// The class to reach; the label where there is none.
    pub target: u32,
    /// The other classes by descending clean logit, as many as the attack leads rows to.
    pub ranks: Vec<u32>,
    walk: Walk,
    attempts: u32,
    epsilons: Vec<f64>,
    stops: Vec<Stop>,
    first: Option<usize>,
}

impl Chain {
    /// A chain over `epsilons`, ascending, with up to `attempts` rows at each. Epsilon 0 is settled by the clean decision: nothing can
    /// be changed there.
    pub fn new(position: usize, example: u32, label: u32, walk: Walk, attempts: u32, epsilons: &[f64]) -> Self {
        let clean = Mark::Settled { verdict: Verdict::Survived, by: Settled::Clean, distance: None };
        let blank = Stop { mark: Mark::Open, attempt: 0, full: false, forwards: 0, backwards: 0 };
        let stops = epsilons.iter().map(|&epsilon| if epsilon == 0.0 { Stop { mark: clean, ..blank } } else { blank }).collect();
        Self { position, example, label, target: label, ranks: Vec::new(), walk, attempts, epsilons: epsilons.to_vec(), stops, first: None }
    }

    /// Begins at an epsilon that a first look says breaks, instead of at the largest; what the look cost is booked there. Where the look
    /// is right the larger epsilons are settled by that break; where it is wrong the chain goes down from the largest all the same.
    #[must_use]
    pub fn begin_at(mut self, epsilon: usize, forwards: u32, backwards: u32) -> Self {
        self.first = Some(epsilon);
        self.stops[epsilon].forwards += forwards;
        self.stops[epsilon].backwards += backwards;
        self
    }

    /// Radius of an epsilon of the series.
    pub fn epsilon(&self, index: usize) -> f64 {
        self.epsilons[index]
    }

    /// The row to run next: the largest epsilon that nothing has settled, or the one to begin at. `None` where there is none at present.
    pub fn next_row(&self) -> Option<NextRow> {
        let open = |&at: &usize| self.stops[at].mark == Mark::Open;
        let epsilon = match self.walk {
            Walk::Bisect => {
                let left: Vec<usize> = (0..self.stops.len()).filter(open).collect();
                left.get(left.len() / 2).copied()
            }
            Walk::Descending | Walk::Each => self.first.filter(open).or_else(|| (0..self.stops.len()).rfind(open)),
        }?;
        let Stop { attempt, full, .. } = self.stops[epsilon];
        Some(NextRow { epsilon, attempt, full })
    }

    /// Takes down how a row ended and what it cost.
    pub fn record(&mut self, row: NextRow, end: End, forwards: u32, backwards: u32) {
        let stop = &mut self.stops[row.epsilon];
        stop.forwards += forwards;
        stop.backwards += backwards;
        match end {
            End::Failed => stop.mark = settled(Verdict::Failed, Settled::Attack),
            End::Again => stop.full = true,
            End::Survived if stop.attempt + 1 < self.attempts => stop.next_attempt(),
            End::Survived => {
                stop.mark = settled(Verdict::Survived, Settled::Attack);
                if self.walk != Walk::Each {
                    self.turn_open(|at, _| at < row.epsilon, settled(Verdict::Survived, Settled::Inferred));
                }
            }
            End::Doubtful => {
                stop.mark = Mark::Claimed(None);
                if self.walk != Walk::Each {
                    self.turn_open(|at, _| at < row.epsilon, Mark::Below { claim: row.epsilon });
                }
            }
            End::Claimed { distance } => {
                stop.mark = Mark::Claimed(None);
                let within = Mark::Within { claim: row.epsilon, distance };
                let reach = f64::from(distance) - TOLERANCE;
                match self.walk {
                    Walk::Descending => self.turn_open(|_, epsilon| epsilon >= reach, within),
                    Walk::Bisect => self.turn_open(|at, _| at > row.epsilon, within),
                    Walk::Each => {}
                }
            }
        }
    }

    /// Takes down the judge's word on the claim at an epsilon.
    pub fn judged(&mut self, epsilon: usize, word: Word) {
        self.stops[epsilon].mark = Mark::Claimed(Some(word));
    }

    /// Takes down what the judge said of the last point of a row that ran out of steps, and what the row cost.
    pub fn ran_out(&mut self, row: NextRow, word: Word, forwards: u32, backwards: u32) {
        match word {
            Word::Broken(distance) => {
                self.record(row, End::Claimed { distance }, forwards, backwards);
                self.judged(row.epsilon, word);
            }
            Word::Refused | Word::Again => self.record(row, End::Survived, forwards, backwards),
            Word::Failed => self.record(row, End::Failed, forwards, backwards),
        }
    }

    /// Settles what can be settled once no row is left to run and every claim is judged. What a refused claim had settled is open
    /// again, and a refused row settles nothing but itself; waiting for all words first makes the outcome independent of when they came.
    ///
    /// True once everything is settled.
    pub fn resolve(&mut self) -> bool {
        if self.stops.iter().any(|stop| matches!(stop.mark, Mark::Open | Mark::Claimed(None))) {
            return false;
        }
        let words: Vec<Mark> = self.stops.iter().map(|stop| stop.mark).collect();
        let given_up: Vec<bool> = self.stops.iter().map(|stop| stop.attempt + 1 >= self.attempts).collect();
        for stop in &mut self.stops {
            stop.mark = match stop.mark {
                Mark::Claimed(Some(Word::Broken(distance))) => broken(distance, Settled::Attack),
                Mark::Claimed(Some(Word::Refused)) => {
                    stop.next_attempt();
                    if stop.attempt < self.attempts { Mark::Open } else { settled(Verdict::Survived, Settled::Attack) }
                }
                Mark::Claimed(Some(Word::Again)) => {
                    stop.full = true;
                    Mark::Open
                }
                Mark::Claimed(_) => settled(Verdict::Failed, Settled::Attack),
                Mark::Within { claim, distance } => match words[claim] {
                    Mark::Claimed(Some(Word::Broken(_))) => broken(distance, Settled::Distance),
                    _ => Mark::Open,
                },
                Mark::Below { claim } => match words[claim] {
                    Mark::Claimed(Some(Word::Refused)) if given_up[claim] => settled(Verdict::Survived, Settled::Inferred),
                    _ => Mark::Open,
                },
                mark => mark,
            };
        }
        self.next_row().is_none()
    }

    fn turn_open(&mut self, which: impl Fn(usize, f64) -> bool, mark: Mark) {
        for (at, stop) in self.stops.iter_mut().enumerate() {
            if stop.mark == Mark::Open && which(at, self.epsilons[at]) {
                stop.mark = mark;
            }
        }
    }

    /// Forward and backward passes so far, at all epsilons.
    pub fn passes(&self) -> u32 {
        self.stops.iter().map(|stop| stop.forwards + stop.backwards).sum()
    }

    /// The outcomes of a chain that is settled.
    ///
    /// # Panics
    /// Before [`Chain::resolve`] has said that everything is settled.
    pub fn outcomes(&self) -> ExampleOutcomes {
        let outcome = |stop: &Stop| {
            let Mark::Settled { verdict, by, distance } = stop.mark else { panic!("the chain of example {} is not settled", self.example) };
            Outcome { verdict, settled: by, distance, forwards: stop.forwards, backwards: stop.backwards }
        };
        ExampleOutcomes { example: self.example, outcomes: self.stops.iter().map(outcome).collect() }
    }
}

fn settled(verdict: Verdict, by: Settled) -> Mark {
    Mark::Settled { verdict, by, distance: None }
}

fn broken(distance: f32, by: Settled) -> Mark {
    Mark::Settled { verdict: Verdict::Broken, by, distance: Some(distance) }
}
