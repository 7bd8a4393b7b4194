//! Checks a whole log against its newest checkpoint and a key (`docs/format.md` §9).
