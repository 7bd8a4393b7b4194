#![cfg(test)]
#![expect(
    clippy::disallowed_methods,
    reason = "tests write the files that users would have, and read the environment's knobs"
)]
//! What users go through with the `tacho` binary: words, bad input, bad days, crashes.

#[path = "journeys/chaos.rs"]
mod chaos;
#[path = "journeys/damage.rs"]
mod damage;
#[path = "journeys/directories.rs"]
mod directories;
#[path = "journeys/env.rs"]
mod env;
#[path = "journeys/evidence.rs"]
mod evidence;
#[path = "journeys/evidence_damage.rs"]
mod evidence_damage;
#[path = "journeys/full_disk.rs"]
mod full_disk;
#[path = "journeys/keys.rs"]
mod keys;
#[path = "journeys/load.rs"]
mod load;
#[path = "journeys/proofs.rs"]
mod proofs;
#[path = "journeys/retention.rs"]
mod retention;
#[path = "journeys/rules.rs"]
mod rules;
#[path = "journeys/servers.rs"]
mod servers;
#[path = "journeys/space.rs"]
mod space;
#[path = "journeys/together.rs"]
mod together;
#[path = "journeys/words.rs"]
mod words;
