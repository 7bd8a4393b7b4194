//! The small MCP server that `tacho demo` records: a real one, on `rmcp`, both protocol generations.
//!
//! Its tools do what an agent's tools do: read, write, delete and list files below one directory, send
//! something out, take long, and fail. Its files are confined to that directory; what it
//! "sends" it forgets.

mod root;

use std::path::Path;
use std::time::Duration;

use rmcp::handler::server::wrapper::Parameters;
use rmcp::model::{
    Implementation, ListResourcesResult, PaginatedRequestParams, ReadResourceRequestParams,
    ReadResourceResponse, ReadResourceResult, Resource, ResourceContents, ServerCapabilities,
    ServerConfig,
};
use rmcp::service::RequestContext;
use rmcp::{
    ErrorData, RoleServer, ServerHandler, ServiceExt as _, schemars, tool, tool_handler,
    tool_router, transport,
};
use serde::Deserialize;
use thiserror::Error;

use self::root::Root;

/// The name the server gives itself.
pub const NAME: &str = "tacho-demo-server";

/// The one resource.
pub const RULES_URI: &str = "demo://rules";

const RULES: &str = "Reports go to the address on file. Nothing outside the directory is touched.";

/// The longest that `slow` waits, milliseconds: a forgotten demo must end by itself.
pub const SLOW_MS_MAX: u64 = 60_000;

/// Why the server ended other than by its client's leaving.
#[derive(Debug, Error)]
pub enum ServeError {
    /// The directory it may work in cannot be used.
    #[error("the demo server cannot use its directory")]
    Root(#[source] std::io::Error),
    /// The runtime could not be built.
    #[error("the demo server cannot start")]
    Runtime(#[source] std::io::Error),
    /// The client's opening was not understood, or the client left before it.
    #[error("the demo server and its client did not agree: {0}")]
    Opening(String),
    /// The task that served ended abnormally.
    #[error("the demo server ended abnormally: {0}")]
    Ended(String),
}

/// Serves MCP on standard input and output until the client leaves, on a runtime of its own. Writes
/// nothing else to standard output.
///
/// `root` is the directory its tools may touch; it must exist.
///
/// # Errors
/// See [`ServeError`].
pub fn run(root: &Path) -> Result<(), ServeError> {
    let server = DemoServer::new(root)?;
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(ServeError::Runtime)?;
    let served = runtime.block_on(serve(server));
    // A read of standard input that is still waiting must not keep the process alive.
    runtime.shutdown_background();
    served
}

async fn serve(server: DemoServer) -> Result<(), ServeError> {
    let running = server
        .serve(transport::stdio_pipes())
        .await
        .map_err(|error| ServeError::Opening(error.to_string()))?;
    running
        .waiting()
        .await
        .map_err(|error| ServeError::Ended(error.to_string()))?;
    Ok(())
}

/// The server itself; any `rmcp` transport can carry it.
#[derive(Clone, Debug)]
pub struct DemoServer {
    root: Root,
}

#[derive(Debug, Deserialize, schemars::JsonSchema)]
#[schemars(crate = "rmcp::schemars")]
struct PathArgs {
    /// Path of a file, relative to the directory of the demo.
    path: String,
}

#[derive(Debug, Deserialize, schemars::JsonSchema)]
#[schemars(crate = "rmcp::schemars")]
struct WriteArgs {
    /// Path of a file, relative to the directory of the demo.
    path: String,
    /// The whole new content.
    content: String,
}

#[derive(Debug, Deserialize, schemars::JsonSchema)]
#[schemars(crate = "rmcp::schemars")]
struct ReportArgs {
    /// Whom the report goes to.
    to: String,
    /// The token of the sending service.
    token: String,
    /// The text of the report.
    body: String,
}

#[derive(Debug, Deserialize, schemars::JsonSchema)]
#[schemars(crate = "rmcp::schemars")]
struct SlowArgs {
    /// How long to wait, in milliseconds, at most 60,000.
    ms: u64,
}

// Files are small and local, so reading them on the one thread is simpler than moving it elsewhere.
#[tool_router]
impl DemoServer {
    /// A server whose tools touch nothing outside `root`.
    ///
    /// # Errors
    /// [`ServeError::Root`] when `root` is no directory that can be entered.
    pub fn new(root: &Path) -> Result<Self, ServeError> {
        Ok(Self {
            root: Root::new(root).map_err(ServeError::Root)?,
        })
    }

    /// Read a text file
    #[tool(annotations(
        title = "Read a file",
        read_only_hint = true,
        idempotent_hint = true,
        open_world_hint = false
    ))]
    fn read_file(&self, Parameters(args): Parameters<PathArgs>) -> Result<String, String> {
        self.root
            .read(&args.path)
            .map_err(|error| error.to_string())
    }

    /// Write a text file, replacing it where it exists
    #[tool(annotations(
        title = "Write a file",
        read_only_hint = false,
        destructive_hint = true,
        idempotent_hint = true,
        open_world_hint = false
    ))]
    fn write_file(&self, Parameters(args): Parameters<WriteArgs>) -> Result<String, String> {
        self.root
            .write(&args.path, &args.content)
            .map_err(|error| error.to_string())?;
        Ok(format!(
            "wrote {} bytes to {}",
            args.content.len(),
            args.path
        ))
    }

    /// Delete a file
    #[tool(annotations(
        title = "Delete a file",
        read_only_hint = false,
        destructive_hint = true,
        idempotent_hint = false,
        open_world_hint = false
    ))]
    fn delete_file(&self, Parameters(args): Parameters<PathArgs>) -> Result<String, String> {
        self.root
            .delete(&args.path)
            .map_err(|error| error.to_string())?;
        Ok(format!("deleted {}", args.path))
    }

    /// List the files of the directory
    #[tool(annotations(title = "List files", read_only_hint = true, open_world_hint = false))]
    fn list_files(&self) -> Result<String, String> {
        self.root
            .list()
            .map(|names| names.join("\n"))
            .map_err(|error| error.to_string())
    }

    /// Send a report to somebody
    #[tool(annotations(
        title = "Send a report",
        read_only_hint = false,
        destructive_hint = false,
        open_world_hint = true
    ))]
    fn send_report(&self, Parameters(args): Parameters<ReportArgs>) -> Result<String, String> {
        // Nothing is sent: the tool exists so that a credential passes through an argument.
        if args.token.is_empty() {
            return Err("a report needs a token".to_owned());
        }
        if !args.to.contains('@') {
            return Err(format!("{} is no address", args.to));
        }
        Ok(format!("sent {} bytes to {}", args.body.len(), args.to))
    }

    /// Wait, then answer
    #[tool(annotations(title = "Wait", read_only_hint = true, open_world_hint = false))]
    async fn slow(
        &self,
        Parameters(args): Parameters<SlowArgs>,
        context: RequestContext<RoleServer>,
    ) -> Result<String, String> {
        if args.ms > SLOW_MS_MAX {
            return Err(format!("{} ms is more than {SLOW_MS_MAX} ms", args.ms));
        }
        tokio::select! {
            () = tokio::time::sleep(Duration::from_millis(args.ms)) => Ok(format!("waited {} ms", args.ms)),
            () = context.ct.cancelled() => Err("cancelled".to_owned()),
        }
    }
}

#[tool_handler]
impl ServerHandler for DemoServer {
    fn get_info(&self) -> ServerConfig {
        let capabilities = ServerCapabilities::builder()
            .enable_tools()
            .enable_resources()
            .build();
        ServerConfig::new(capabilities)
            .with_server_info(Implementation::new(NAME, env!("CARGO_PKG_VERSION")))
            .with_instructions("Tools over the files of one directory, for a demonstration.")
    }

    async fn list_resources(
        &self,
        _request: Option<PaginatedRequestParams>,
        _context: RequestContext<RoleServer>,
    ) -> Result<ListResourcesResult, ErrorData> {
        let rules = Resource::new(RULES_URI, "rules").with_mime_type("text/plain");
        Ok(ListResourcesResult::with_all_items(vec![rules]))
    }

    async fn read_resource(
        &self,
        request: ReadResourceRequestParams,
        _context: RequestContext<RoleServer>,
    ) -> Result<ReadResourceResponse, ErrorData> {
        if request.uri != RULES_URI {
            return Err(ErrorData::resource_not_found(
                format!("no resource {}", request.uri),
                None,
            ));
        }
        Ok(ReadResourceResult::new(vec![ResourceContents::text(RULES, RULES_URI)]).into())
    }
}

#[cfg(test)]
mod tests;
