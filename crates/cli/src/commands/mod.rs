//! The verbs, one to a file.

pub(crate) mod act;
pub(crate) mod apply;
pub(crate) mod bgp;
pub(crate) mod certificates;
pub(crate) mod completion;
pub(crate) mod create;
pub(crate) mod delete;
pub(crate) mod describe;
pub(crate) mod diff;
pub(crate) mod doctor;
pub(crate) mod explain;
pub(crate) mod get;
pub(crate) mod history;
pub(crate) mod lab;
pub(crate) mod man;
pub(crate) mod plan;
pub(crate) mod restore;
pub(crate) mod rollback;
pub(crate) mod set;
pub(crate) mod snapshot;
pub(crate) mod status;
pub(crate) mod version;
pub(crate) mod watch;

use anyhow::Result;

use crate::arguments::Verb;
use crate::context::Context;
use crate::exit::Exit;

/// Does what was asked for.
pub(crate) async fn run(verb: Verb, context: &Context) -> Result<Exit> {
    match verb {
        Verb::Apply(arguments) => apply::run(context, &arguments).await,
        Verb::Plan(arguments) => plan::run(context, &arguments).await,
        Verb::Diff(arguments) => diff::run(context, &arguments).await,
        Verb::Get(get) => get::run(context, &get).await,
        Verb::Describe(arguments) => describe::run(context, &arguments).await,
        Verb::Create(create) => create::run(context, &create).await,
        Verb::Set(set) => set::run(context, &set).await,
        Verb::Do(asked) => act::run(context, &asked).await,
        Verb::Delete(arguments) => delete::run(context, &arguments).await,
        Verb::History(arguments) => history::run(context, &arguments).await,
        Verb::Rollback(arguments) => rollback::run(context, &arguments).await,
        Verb::Watch(arguments) => watch::run(context, &arguments).await,
        Verb::Status(arguments) => status::run(context, &arguments).await,
        Verb::Bgp(verb) => bgp::run(context, &verb).await,
        Verb::Explain(arguments) => explain::run(context, &arguments).await,
        Verb::Doctor(arguments) => doctor::run(context, &arguments).await,
        Verb::Snapshot(arguments) => snapshot::run(context, &arguments).await,
        Verb::Restore(arguments) => restore::run(context, &arguments).await,
        Verb::Certificates(arguments) => certificates::run(context, &arguments),
        Verb::Lab(verb) => lab::run(context, &verb).await,
        Verb::Completion(arguments) => completion::run(context, &arguments),
        Verb::Man(arguments) => man::run(context, &arguments),
        Verb::Version => version::run(context).await,
    }
}
