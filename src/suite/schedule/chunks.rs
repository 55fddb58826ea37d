//! What one worker has under way: examples in chunks, until each chunk is committed or its examples are given away.

use std::collections::{BTreeMap, VecDeque};

use super::{Shift, Worker};
use crate::Result;
use crate::engine::chain::Chain;
use crate::engine::drive::{Effort, Feed};
use crate::engine::judge::{Judgement, under};
use crate::evaluate::cost::Cost;
use crate::evaluate::record::{ExampleOutcomes, Specimen};
use crate::store::{Broken, KeptPoint};
use crate::suite::board::{Handed, Moved, Taken};
use crate::suite::shares::Ended;

/// A chunk under way.
#[derive(Default)]
struct Chunk {
    left: usize,
    outcomes: Vec<ExampleOutcomes>,
    specimens: BTreeMap<usize, Specimen>,
    kept: Vec<KeptPoint>,
}

/// An example that was taken.
struct UnderWay {
    /// The number of its chunk.
    chunk: usize,
    /// When.
    taken: f64,
    /// Propagations that the worker had done by then, those that had gone into the example, and those of them that a first look took.
    before: u64,
    passed: u32,
    looked: u32,
}

/// Hands one worker its examples and commits its chunks.
pub(super) struct Chunks<'a> {
    shift: &'a Shift<'a>,
    worker: &'a Worker,
    chunks: BTreeMap<usize, Chunk>,
    /// By position of an example.
    under_way: BTreeMap<usize, UnderWay>,
    next: VecDeque<(usize, usize)>,
    /// Given to the worker.
    arrived: Vec<(usize, Moved)>,
    effort: Effort,
    booked: Effort,
}

impl<'a> Chunks<'a> {
    pub(super) fn new(shift: &'a Shift, worker: &'a Worker, work: Handed) -> Self {
        let mut feed = Self {
            shift,
            worker,
            chunks: BTreeMap::new(),
            under_way: BTreeMap::new(),
            next: VecDeque::new(),
            arrived: Vec::new(),
            effort: Effort::default(),
            booked: Effort::default(),
        };
        match work {
            Handed::New(chunk) => feed.queue(chunk),
            Handed::Moved(moved) => feed.arrived = moved,
        }
        feed
    }

    /// What was spent since this was asked last.
    pub(super) fn spent(&mut self) -> Cost {
        let before = std::mem::replace(&mut self.booked, self.effort);
        let since = |of: fn(&Effort) -> u64| of(&self.effort) - of(&before);
        Cost {
            seconds: self.shift.board.book(),
            device_forwards: since(|effort| effort.forwards),
            device_backwards: since(|effort| effort.backwards),
            active: since(|effort| effort.occupied),
            capacity: since(|effort| effort.slots),
            fed_active: since(|effort| effort.fed_occupied),
            fed_capacity: since(|effort| effort.fed_slots),
        }
    }

    fn queue(&mut self, Taken { number, positions }: Taken) {
        self.worker.data.expect(&positions);
        self.chunks.insert(number, Chunk { left: positions.len(), ..Chunk::default() });
        self.next.extend(positions.into_iter().map(|position| (position, number)));
    }

    fn chunk(&mut self, chain: &Chain) -> &mut Chunk {
        let number = self.under_way[&chain.position].chunk;
        self.chunks.get_mut(&number).expect("an example under way belongs to a chunk under way")
    }

    /// Takes down that the worker has an example from now on.
    fn begin(&mut self, chain: &Chain, chunk: usize, looked: u32) {
        let (taken, before, passed) = (self.shift.board.now(), self.done(), chain.passes());
        self.under_way.insert(chain.position, UnderWay { chunk, taken, before, passed, looked });
    }

    /// One example less is left of a chunk; it is committed where none is.
    fn leave(&mut self, number: usize) -> Result<()> {
        let chunk = self.chunks.get_mut(&number).expect("an example under way belongs to a chunk under way");
        chunk.left -= 1;
        if chunk.left > 0 {
            return Ok(());
        }
        let Chunk { mut outcomes, specimens, kept, .. } = self.chunks.remove(&number).expect("it was there a line ago");
        // What was taken back is another's to commit.
        if !self.shift.board.settle(self.shift.at, number) || outcomes.is_empty() {
            return Ok(());
        }
        outcomes.sort_by_key(|outcomes| outcomes.example);
        let specimens: Vec<Specimen> = specimens.into_values().collect();
        let spent = self.spent();
        self.shift.sink.commit(&self.worker.info, &outcomes, &specimens, &kept, &spent)
    }

    /// Propagations that the worker has done.
    fn done(&self) -> u64 {
        self.effort.forwards + self.effort.backwards
    }
}

impl Feed for Chunks<'_> {
    fn take(&mut self) -> Option<Chain> {
        if self.next.is_empty() {
            let chunk = self.shift.board.take(self.shift.at)?;
            self.queue(chunk);
        }
        let (position, number) = self.next.pop_front()?;
        let chain = (self.shift.series.chain)(position);
        self.begin(&chain, number, chain.passes());
        Some(chain)
    }

    fn receive(&mut self) -> Vec<Chain> {
        let mut arrived = std::mem::take(&mut self.arrived);
        arrived.extend(self.shift.board.receive(self.shift.at));
        if arrived.is_empty() {
            return Vec::new();
        }
        self.worker.data.expect(&arrived.iter().map(|(_, moved)| moved.chain.position).collect::<Vec<_>>());
        let mut chains = Vec::with_capacity(arrived.len());
        for (number, Moved { chain, looked, specimen, kept }) in arrived {
            let specimens = specimen.into_iter().map(|specimen| (chain.position, specimen)).collect();
            self.chunks.insert(number, Chunk { left: 1, outcomes: Vec::new(), specimens, kept });
            self.begin(&chain, number, looked);
            chains.push(chain);
        }
        chains
    }

    fn spares(&self) -> bool {
        self.shift.board.spares(self.shift.at)
    }

    fn give(&mut self, chain: Chain) -> Result<()> {
        let UnderWay { chunk: number, looked, .. } = self.under_way.remove(&chain.position).expect("only what is under way is given");
        let chunk = self.chunks.get_mut(&number).expect("an example under way belongs to a chunk under way");
        let specimen = chunk.specimens.remove(&chain.position);
        let kept = chunk.kept.extract_if(.., |kept| kept.broken.example == chain.example).collect();
        self.shift.board.give(self.shift.at, number, Moved { chain, looked, specimen, kept });
        self.leave(number)
    }

    fn is_over(&self) -> bool {
        self.shift.board.is_relieved(self.shift.at)
    }

    fn wants_point(&self, chain: &Chain) -> bool {
        self.shift.sink.keeps() || (self.shift.series.shown)(chain.position)
    }

    fn point(&mut self, chain: &Chain, judgement: Judgement) {
        let Judgement { claim, prediction, distances, point: Some(adversarial), .. } = judgement else { return };
        let (series, keeps) = (self.shift.series, self.shift.sink.keeps());
        let chunk = self.chunk(chain);
        let epsilon = chain.epsilon(claim.epsilon);
        let distance = under(series.key.norm, &distances);
        if keeps && distance.is_finite() {
            let broken = Broken { epsilon, example: chain.example, prediction, distance };
            chunk.kept.push(KeptPoint { broken, adversarial: adversarial.clone() });
        }
        if !(series.shown)(chain.position) {
            return;
        }
        // The smallest epsilon that broke is shown, whichever the judge saw first.
        if chunk.specimens.get(&chain.position).is_some_and(|shown| shown.epsilon <= epsilon) {
            return;
        }
        let specimen = Specimen {
            series: series.key.clone(),
            epsilon,
            example: chain.example,
            label: chain.label,
            prediction,
            distance,
            shape: series.data.shape,
            original: series.data.image(chain.position),
            adversarial,
        };
        chunk.specimens.insert(chain.position, specimen);
    }

    fn worked(&mut self, effort: Effort) {
        self.effort = effort;
    }

    fn finish(&mut self, chain: Chain) -> Result<()> {
        self.chunk(&chain).outcomes.push(chain.outcomes());
        let UnderWay { chunk, taken, before, passed, looked } = self.under_way.remove(&chain.position).expect("it was there a line ago");
        let (board, passes) = (self.shift.board, chain.passes());
        let (work, whole, all) = ((passes - passed).into(), (passes - looked).into(), (self.done() - before) as f64);
        self.leave(chunk)?;
        board.ended(self.shift.at, Ended { work, whole, seconds: board.now() - taken, all });
        Ok(())
    }
}
