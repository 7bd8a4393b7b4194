use super::{Kept, KeyPolicy, Report};
use crate::dir::LogDir;
use crate::outside::{CosignedError, read_cosigned};
use crate::policy::Policy;

/// Reads `cosigned` against a policy: too few cosignatures, a wrong one, or none are findings. Returns the
/// checkpoint, which the records have to agree with also when too few witnesses have seen it.
pub(super) fn read(
    dir: &LogDir,
    keys: &KeyPolicy,
    policy: &Policy,
    report: &mut Report,
) -> Option<Kept> {
    let name = "cosigned";
    // One of several keys is enough: the log proves that they follow one another.
    if !keys.keys().iter().any(|one| policy.accepts_log(&one.key)) {
        let what = "the policy does not list this log's key".to_owned();
        report.tampered(None, None, what);
    }
    let file = match read_cosigned(dir, |signed| keys.verify(signed), policy) {
        Ok(file) => file,
        Err(CosignedError::Io(error)) => {
            report.incomplete(None, Some(name), format!("cannot be read: {error}"));
            return None;
        }
        Err(error @ (CosignedError::Missing | CosignedError::Checkpoint(_))) => {
            report.tampered(None, Some(name), error.to_string());
            return None;
        }
    };
    let size = file.checkpoint.size();
    report.cosigned_size = Some(size);
    report.cosigners = file.cosigned.by;
    if !file.cosigned.fulfilled {
        let names: Vec<_> = report.cosigners.iter().map(|one| &*one.name).collect();
        let who = match names.as_slice() {
            [] => "no witness of the policy".to_owned(),
            names => names.join(", "),
        };
        let what = format!(
            "the policy demands other witnesses, or more of them: its checkpoint of {size} records was cosigned by {who}"
        );
        report.tampered(None, Some(name), what);
    }
    Some(Kept {
        checkpoint: file.checkpoint,
        file: Some(name.to_owned()),
        what: "the witnesses have cosigned other records: there are two histories".to_owned(),
    })
}
