#![cfg(test)]
//! What must not compile: a type that can be serialised or shown where it must not be. Each line below
//! stops compiling as soon as the type gains the trait, because then two implementations fit.

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
fn what_is_not_redacted_has_no_bytes() {
    assert_without!(tacho_event::Event, serde::Serialize);
    assert_without!(tacho_event::Context, serde::Serialize);
    assert_without!(tacho_event::Unredacted<String>, serde::Serialize);
    assert_without!(tacho_event::Unredacted<String>, std::fmt::Display);
    assert_without!(tacho_event::Unredacted<String>, AsRef<[u8]>);
    assert_without!(tacho_event::RedactedEvent, serde::Serialize);
    assert_without!(tacho_event::DigestKey, serde::Serialize);
    assert_without!(tacho_event::DigestKey, std::fmt::Display);
}
