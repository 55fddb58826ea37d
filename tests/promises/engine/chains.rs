//! Chains: which epsilon an example meets next, and what follows from how its rows end.

use gauntlet::engine::chain::{Chain, End, NextRow, Walk, Word};
use gauntlet::evaluate::record::{Outcome, Settled, Verdict};

use crate::Promise;

pub fn tests() -> Vec<Promise> {
    let plain = |name, run| Promise { name, needs_adapter: false, run };
    vec![
        plain("a chain goes down from the largest epsilon and infers below a survival", chains_descend),
        plain("a break at a small distance settles every epsilon above it", breaks_settle_above),
        plain("a refused claim is a survival, and what it had settled is run", refusals_are_run),
        plain("what ran out against dice is as the judge says, and so is what lies below it", doubts_are_judged),
        plain("a chain's outcome does not depend on when the judge speaks", words_may_come_late),
        plain("a failed row says nothing of other epsilons", failures_infer_nothing),
        plain("a chain that begins where a first look says comes to the same, right or wrong the look", looks_change_nothing),
        plain("halving finds the smallest epsilon that breaks", halving_finds_the_break),
    ]
}

fn chain(walk: Walk, restarts: u32) -> Chain {
    Chain::new(0, 9, 1, walk, restarts, &[0.0, 0.1, 0.2, 0.3])
}

fn run(chain: &mut Chain, expected: usize, end: End) {
    let row = chain.next_row().expect("there is a row to run");
    assert_eq!(row.epsilon, expected);
    chain.record(row, end, 3, 2);
}

fn verdicts(chain: &Chain) -> Vec<(Verdict, Settled)> {
    chain.outcomes().outcomes.iter().map(|outcome| (outcome.verdict, outcome.settled)).collect()
}

const CLEAN: (Verdict, Settled) = (Verdict::Survived, Settled::Clean);

fn chains_descend() {
    let mut chain = chain(Walk::Descending, 1);
    run(&mut chain, 3, End::Claimed { distance: 0.3 });
    run(&mut chain, 2, End::Survived);
    assert_eq!(chain.next_row(), None);
    assert!(!chain.resolve(), "a claim waits for the judge");
    chain.judged(3, Word::Broken(0.3));
    assert!(chain.resolve());
    let inferred = (Verdict::Survived, Settled::Inferred);
    assert_eq!(verdicts(&chain), [CLEAN, inferred, (Verdict::Survived, Settled::Attack), (Verdict::Broken, Settled::Attack)]);
    let outcomes = chain.outcomes().outcomes;
    assert_eq!(outcomes[1], Outcome { verdict: Verdict::Survived, settled: Settled::Inferred, distance: None, forwards: 0, backwards: 0 });
    assert_eq!((outcomes[3].forwards, outcomes[3].backwards, outcomes[3].distance), (3, 2, Some(0.3)));
}

fn breaks_settle_above() {
    let mut chain = chain(Walk::Descending, 1);
    run(&mut chain, 3, End::Claimed { distance: 0.1 });
    // 0.1 in single precision is above 0.1 by less than the tolerance.
    assert_eq!(chain.next_row(), None);
    chain.judged(3, Word::Broken(0.1));
    assert!(chain.resolve());
    let within = (Verdict::Broken, Settled::Distance);
    assert_eq!(verdicts(&chain), [CLEAN, within, within, (Verdict::Broken, Settled::Attack)]);
}

fn refusals_are_run() {
    let mut chain = chain(Walk::Descending, 1);
    run(&mut chain, 3, End::Claimed { distance: 0.15 });
    run(&mut chain, 1, End::Survived);
    chain.judged(3, Word::Refused);
    assert!(!chain.resolve(), "0.2 is open again");
    run(&mut chain, 2, End::Claimed { distance: 0.2 });
    chain.judged(2, Word::Broken(0.2));
    assert!(chain.resolve());
    let survived = (Verdict::Survived, Settled::Attack);
    assert_eq!(verdicts(&chain), [CLEAN, survived, (Verdict::Broken, Settled::Attack), survived]);
}

fn doubts_are_judged() {
    let survived = (Verdict::Survived, Settled::Attack);
    let mut held = chain(Walk::Descending, 1);
    run(&mut held, 3, End::Doubtful);
    assert_eq!(held.next_row(), None, "what lies below waits for the judge too");
    assert!(!held.resolve());
    held.judged(3, Word::Refused);
    assert!(held.resolve());
    let inferred = (Verdict::Survived, Settled::Inferred);
    assert_eq!(verdicts(&held), [CLEAN, inferred, inferred, survived]);

    let mut broken = chain(Walk::Descending, 1);
    run(&mut broken, 3, End::Doubtful);
    broken.judged(3, Word::Broken(0.25));
    assert!(!broken.resolve(), "nothing is known below a break");
    run(&mut broken, 2, End::Doubtful);
    broken.judged(2, Word::Refused);
    assert!(broken.resolve());
    assert_eq!(verdicts(&broken), [CLEAN, inferred, survived, (Verdict::Broken, Settled::Attack)]);

    // A restart comes before anything is inferred.
    let mut twice = chain(Walk::Descending, 2);
    run(&mut twice, 3, End::Doubtful);
    twice.judged(3, Word::Refused);
    assert!(!twice.resolve());
    assert_eq!(twice.next_row(), Some(NextRow { epsilon: 3, attempt: 1, full: false }));
    run(&mut twice, 3, End::Doubtful);
    twice.judged(3, Word::Refused);
    assert!(twice.resolve());
    assert_eq!(verdicts(&twice), [CLEAN, inferred, inferred, survived]);
}

fn words_may_come_late() {
    let play = |early: bool| {
        let mut chain = chain(Walk::Descending, 2);
        run(&mut chain, 3, End::Claimed { distance: 0.15 });
        if early {
            chain.judged(3, Word::Refused);
        }
        run(&mut chain, 1, End::Survived);
        run(&mut chain, 1, End::Claimed { distance: 0.1 });
        if !early {
            chain.judged(3, Word::Refused);
        }
        chain.judged(1, Word::Broken(0.1));
        assert!(!chain.resolve(), "the refused row has a restart left");
        assert_eq!(chain.next_row(), Some(NextRow { epsilon: 3, attempt: 1, full: false }));
        run(&mut chain, 3, End::Survived);
        assert!(chain.resolve());
        chain.outcomes()
    };
    assert_eq!(play(true), play(false));
}

fn failures_infer_nothing() {
    let mut chain = chain(Walk::Descending, 1);
    run(&mut chain, 3, End::Failed);
    run(&mut chain, 2, End::Claimed { distance: 0.2 });
    chain.judged(2, Word::Failed);
    run(&mut chain, 1, End::Survived);
    assert!(chain.resolve());
    let failed = (Verdict::Failed, Settled::Attack);
    assert_eq!(verdicts(&chain), [CLEAN, (Verdict::Survived, Settled::Attack), failed, failed]);
}

/// Walks a chain to its end against an example that breaks at `breaks` and above; gives outcomes and the epsilons that were run.
fn walk(mut chain: Chain, breaks: usize) -> (Vec<Verdict>, Vec<usize>) {
    let mut ran = Vec::new();
    while !chain.resolve() {
        let NextRow { epsilon, .. } = chain.next_row().expect("an unsettled chain has a row to run");
        ran.push(epsilon);
        let distance = [0.0, 0.1, 0.2, 0.3][epsilon];
        run(&mut chain, epsilon, if epsilon >= breaks { End::Claimed { distance } } else { End::Survived });
        if epsilon >= breaks {
            chain.judged(epsilon, Word::Broken(distance));
        }
    }
    (verdicts(&chain).into_iter().map(|(verdict, _)| verdict).collect(), ran)
}

fn looks_change_nothing() {
    for breaks in 1..=4 {
        let (plain, _) = walk(chain(Walk::Descending, 1), breaks);
        for look in 1..4 {
            let (looked, ran) = walk(chain(Walk::Descending, 1).begin_at(look, 6, 1), breaks);
            assert_eq!(looked, plain, "breaks at {breaks}, looked at {look}");
            assert_eq!(ran[0], look);
        }
        if breaks < 4 {
            let rows = walk(chain(Walk::Descending, 1).begin_at(breaks, 6, 1), breaks).1.len();
            assert_eq!(rows, if breaks == 1 { 1 } else { 2 }, "a look that is right leaves one break and one survival");
        }
    }
    let outcomes = chain(Walk::Descending, 1).begin_at(2, 6, 1);
    assert_eq!(outcomes.next_row(), Some(NextRow { epsilon: 2, attempt: 0, full: false }));
}

fn halving_finds_the_break() {
    for breaks in 1..=4 {
        let (verdicts, ran) = walk(chain(Walk::Bisect, 1), breaks);
        assert_eq!(verdicts.iter().position(|&verdict| verdict == Verdict::Broken).unwrap_or(4), breaks);
        assert!(ran.len() <= 2, "{ran:?}");
    }
}
