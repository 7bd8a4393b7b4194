use crate::place::{Place, Result};
use crate::recorder::{Serve, stop};
use crate::report::{Value, heading, limit, plain};
use crate::session::{Session, Target};
use crate::stats::median;

/// Time from the start of the process to its answer to `initialize`.
pub(super) fn run(place: &Place) -> Result<()> {
    heading("proxy: start-up, until the answer to initialize");
    let server = super::bare(place);
    let bare = Target::new("bare", &[], &server);
    let relay = Target::new("relay", &[place.program("tacho-bench-relay")], &server);
    let (warm_dir, cold_dir) = (place.fresh()?, place.fresh()?);
    let recorder = Serve::start(place, warm_dir.path())?;
    let warm = super::behind_tacho(place, warm_dir.path(), "strict", &server);
    let cold = super::behind_tacho(place, cold_dir.path(), "strict", &server);
    let mut took = [const { Vec::new() }; 4];
    for _ in 0..place.rounds.saturating_mul(4) {
        for (target, took) in [&bare, &relay, &warm, &cold].into_iter().zip(&mut took) {
            let session = Session::open(target)?;
            took.push(session.opened_after.as_secs_f64() * 1e3);
            session.close()?;
        }
        stop(cold_dir.path())?;
    }
    drop(recorder);
    let [bare, relay, warm, cold] = took.map(|took| median(&took));
    let ms = |value| Value(value, "ms");
    plain("bare", ms(bare));
    plain("relay: added", ms(relay - bare));
    limit("tacho run, recorder running: added", ms(warm - bare), 10.0);
    limit(
        "tacho run, no recorder running: added",
        ms(cold - bare),
        10.0,
    );
    Ok(())
}
