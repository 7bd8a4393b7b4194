#![cfg(test)]
//! What must not compile; see the same file of `tacho-event` for how.

/// Compiles only while the type does not have the trait.
macro_rules! assert_without {
    ($type:ty, $trait:path) => {{
        trait Probe<A> {
            fn probe() {}
        }
        impl<T: ?Sized> Probe<()> for T {}
        struct WithTrait;
        impl<T: ?Sized + $trait> Probe<WithTrait> for T {}
        <$type as Probe<_>>::probe();
    }};
}

#[test]
fn a_receipt_is_good_for_one_call_and_keys_stay_where_they_are() {
    assert_without!(tacho_log::Receipt, Clone);
    assert_without!(tacho_log::Receipt, Default);
    assert_without!(tacho_log::Ticket, Clone);
    assert_without!(tacho_log::WriterLock, Clone);
    assert_without!(tacho_log::key::SigningKey, serde::Serialize);
    assert_without!(tacho_log::key::SigningKey, std::fmt::Display);
}

#[test]
fn whoever_keeps_evidence_cannot_read_it() {
    use tacho_log::evidence::EvidenceStore;
    use tacho_log::recipients::{Identities, Recipients};
    assert_without!(EvidenceStore, std::io::Read);
    assert_without!(EvidenceStore, std::ops::Deref);
    assert_without!(EvidenceStore, AsRef<Identities>);
    assert_without!(EvidenceStore, serde::Serialize);
    assert_without!(Recipients, std::io::Read);
    assert_without!(Recipients, Into<Identities>);
    assert_without!(Recipients, AsRef<Identities>);
    assert_without!(Recipients, age::Identity);
    assert_without!(Identities, serde::Serialize);
    assert_without!(Identities, std::fmt::Display);
}
