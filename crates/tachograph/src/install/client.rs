//! The MCP clients we know: where each keeps its configuration, and under which member.
//!
//! Everything here is data about other people's programs, checked against their documentation in November 2026.
//! Nothing is read from the machine: home, environment and platform are arguments.

use std::path::{Path, PathBuf};

use super::error::InstallError;

/// A client whose configuration can be found by itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Client {
    /// Claude Desktop.
    ClaudeDesktop,
    /// Claude Code, the command-line agent.
    ClaudeCode,
    /// Cursor.
    Cursor,
    /// Visual Studio Code, its Insiders build and VSCodium.
    VsCode,
    /// Windsurf, and the Codeium plugins for other editors.
    Windsurf,
}

/// The operating system whose paths are meant.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Platform {
    /// Linux and the other systems that follow XDG.
    Linux,
    /// macOS.
    MacOs,
    /// Windows.
    Windows,
}

/// Whose configuration: the user's own, or that of the project in the current directory.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Scope {
    /// The user's, for all projects.
    User,
    /// The project's, usually shared through version control.
    Project,
}

/// The directories that configurations are found from; `None` where the environment does not say.
#[derive(Debug, Clone, Copy)]
pub struct Places<'p> {
    /// The user's home directory.
    pub home: &'p Path,
    /// `XDG_CONFIG_HOME`; else `~/.config`. Linux only.
    pub xdg_config: Option<&'p Path>,
    /// `APPDATA`; else `AppData/Roaming` in the home directory. Windows only.
    pub app_data: Option<&'p Path>,
    /// `LOCALAPPDATA`; else `AppData/Local` in the home directory. Windows only.
    pub local_app_data: Option<&'p Path>,
    /// `CLAUDE_CONFIG_DIR`, which moves `.claude.json` out of the home directory.
    pub claude_config: Option<&'p Path>,
    /// The current directory: the project.
    pub cwd: &'p Path,
}

/// Which members of a configuration hold servers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Layout {
    /// `mcpServers`.
    McpServers,
    /// `mcpServers`, and `mcpServers` in each member of `projects` (Claude Code).
    McpServersAndProjects,
    /// `servers` (VS Code).
    Servers,
    /// Any of them, and `mcp.servers` (a VS Code `settings.json`): for `--file`.
    Any,
}

impl Platform {
    /// The platform this was built for.
    #[must_use]
    pub fn current() -> Self {
        if cfg!(target_os = "macos") {
            Self::MacOs
        } else if cfg!(windows) {
            Self::Windows
        } else {
            Self::Linux
        }
    }
}

impl Places<'_> {
    /// Where applications keep what belongs to the user.
    fn config(&self, platform: Platform) -> PathBuf {
        let given = |path: Option<&Path>, default: &str| {
            path.map_or_else(|| self.home.join(default), Path::to_path_buf)
        };
        match platform {
            // XDG Base Directory Specification: a relative path is invalid and is ignored.
            Platform::Linux => given(self.xdg_config.filter(|path| path.is_absolute()), ".config"),
            Platform::MacOs => self.home.join("Library/Application Support"),
            Platform::Windows => given(self.app_data, "AppData/Roaming"),
        }
    }

    fn local_config(&self) -> PathBuf {
        self.local_app_data
            .map_or_else(|| self.home.join("AppData/Local"), Path::to_path_buf)
    }
}

impl Client {
    /// All of them, in the order of the documentation.
    pub const ALL: [Self; 5] = [
        Self::ClaudeDesktop,
        Self::ClaudeCode,
        Self::Cursor,
        Self::VsCode,
        Self::Windsurf,
    ];

    /// The name on the command line.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::ClaudeDesktop => "claude-desktop",
            Self::ClaudeCode => "claude-code",
            Self::Cursor => "cursor",
            Self::VsCode => "vscode",
            Self::Windsurf => "windsurf",
        }
    }

    /// The client of that name.
    ///
    /// # Errors
    ///
    /// `UnknownClient`, naming those there are.
    pub fn parse(name: &str) -> Result<Self, InstallError> {
        Self::ALL
            .into_iter()
            .find(|client| client.name() == name)
            .ok_or_else(|| InstallError::UnknownClient {
                name: name.to_owned(),
                known: Self::ALL.map(Self::name).join(", "),
            })
    }

    /// Which members of its files hold servers.
    #[must_use]
    pub fn layout(self) -> Layout {
        match self {
            Self::ClaudeCode => Layout::McpServersAndProjects,
            Self::VsCode => Layout::Servers,
            Self::ClaudeDesktop | Self::Cursor | Self::Windsurf => Layout::McpServers,
        }
    }

    /// What the user has to do so that the client reads its configuration again.
    #[must_use]
    pub fn reload(self) -> &'static str {
        match self {
            Self::ClaudeDesktop => "quit Claude Desktop completely and start it again",
            Self::ClaudeCode => "start a new Claude Code session",
            Self::Cursor => {
                "quit Cursor and start it again, or switch the server off and on in its settings"
            }
            Self::VsCode => "run `MCP: List Servers` and restart the servers, or reload the window",
            Self::Windsurf => "press refresh in the MCP panel, or start Windsurf again",
        }
    }

    /// Every file the client may read in that scope, the usual one first. Those that exist are meant to be changed.
    ///
    /// # Errors
    ///
    /// `NoProjectScope` for a client that has none.
    pub fn config_files(
        self,
        places: &Places<'_>,
        platform: Platform,
        scope: Scope,
    ) -> Result<Vec<PathBuf>, InstallError> {
        match scope {
            Scope::User => Ok(self.user_files(places, platform)),
            Scope::Project => {
                let file = match self {
                    Self::ClaudeCode => ".mcp.json",
                    Self::Cursor => ".cursor/mcp.json",
                    Self::VsCode => ".vscode/mcp.json",
                    Self::ClaudeDesktop | Self::Windsurf => {
                        return Err(InstallError::NoProjectScope {
                            client: self.name(),
                        });
                    }
                };
                Ok(vec![places.cwd.join(file)])
            }
        }
    }

    fn user_files(self, places: &Places<'_>, platform: Platform) -> Vec<PathBuf> {
        match self {
            Self::ClaudeDesktop => {
                let mut files = vec![
                    places
                        .config(platform)
                        .join("Claude/claude_desktop_config.json"),
                ];
                if platform == Platform::Windows {
                    // The Store and MSIX installs see a private copy of %APPDATA%.
                    let package = "Packages/Claude_pzs8sxrjxfjjc/LocalCache/Roaming/Claude/claude_desktop_config.json";
                    files.push(places.local_config().join(package));
                }
                files
            }
            Self::ClaudeCode => vec![
                places
                    .claude_config
                    .unwrap_or(places.home)
                    .join(".claude.json"),
            ],
            Self::Cursor => vec![places.home.join(".cursor/mcp.json")],
            Self::VsCode => ["Code", "Code - Insiders", "VSCodium"]
                .map(|product| places.config(platform).join(product).join("User/mcp.json"))
                .to_vec(),
            Self::Windsurf => ["windsurf/mcp_config.json", "mcp_config.json"]
                .map(|file| places.home.join(".codeium").join(file))
                .to_vec(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(client: Client, platform: Platform, scope: Scope, expected: &[&str]) {
        let places = Places {
            home: Path::new("/h"),
            xdg_config: Some(Path::new("/x")),
            app_data: Some(Path::new("/r")),
            local_app_data: None,
            claude_config: None,
            cwd: Path::new("/p"),
        };
        let files = client.config_files(&places, platform, scope).unwrap();
        assert_eq!(
            files,
            expected.iter().map(PathBuf::from).collect::<Vec<_>>(),
            "{client:?} {platform:?} {scope:?}"
        );
    }

    #[test]
    fn files_of_each_client() {
        use Client::{ClaudeCode, ClaudeDesktop, Cursor, VsCode, Windsurf};
        use Platform::{Linux, MacOs, Windows};
        check(
            ClaudeDesktop,
            Linux,
            Scope::User,
            &["/x/Claude/claude_desktop_config.json"],
        );
        check(
            ClaudeDesktop,
            MacOs,
            Scope::User,
            &["/h/Library/Application Support/Claude/claude_desktop_config.json"],
        );
        check(
            ClaudeDesktop,
            Windows,
            Scope::User,
            &[
                "/r/Claude/claude_desktop_config.json",
                "/h/AppData/Local/Packages/Claude_pzs8sxrjxfjjc/LocalCache/Roaming/Claude/claude_desktop_config.json",
            ],
        );
        for platform in [Linux, MacOs, Windows] {
            check(ClaudeCode, platform, Scope::User, &["/h/.claude.json"]);
            check(Cursor, platform, Scope::User, &["/h/.cursor/mcp.json"]);
            let windsurf = [
                "/h/.codeium/windsurf/mcp_config.json",
                "/h/.codeium/mcp_config.json",
            ];
            check(Windsurf, platform, Scope::User, &windsurf);
            check(ClaudeCode, platform, Scope::Project, &["/p/.mcp.json"]);
            check(Cursor, platform, Scope::Project, &["/p/.cursor/mcp.json"]);
            check(VsCode, platform, Scope::Project, &["/p/.vscode/mcp.json"]);
        }
        let linux = [
            "/x/Code/User/mcp.json",
            "/x/Code - Insiders/User/mcp.json",
            "/x/VSCodium/User/mcp.json",
        ];
        check(VsCode, Linux, Scope::User, &linux);
    }

    #[test]
    fn environment_moves_files() {
        let places = |xdg: Option<&'static str>, claude: Option<&'static str>| Places {
            home: Path::new("/h"),
            xdg_config: xdg.map(Path::new),
            app_data: None,
            local_app_data: None,
            claude_config: claude.map(Path::new),
            cwd: Path::new("/p"),
        };
        let first = |client: Client, places: Places<'_>, platform| {
            client
                .config_files(&places, platform, Scope::User)
                .unwrap()
                .remove(0)
        };
        let desktop = "Claude/claude_desktop_config.json";
        for (xdg, base) in [
            (None, "/h/.config"),
            (Some("relative"), "/h/.config"),
            (Some("/y"), "/y"),
        ] {
            let file = first(Client::ClaudeDesktop, places(xdg, None), Platform::Linux);
            assert_eq!(
                file,
                Path::new(base).join(desktop),
                "XDG_CONFIG_HOME {xdg:?}"
            );
        }
        let file = first(Client::ClaudeDesktop, places(None, None), Platform::Windows);
        assert_eq!(file, Path::new("/h/AppData/Roaming").join(desktop));
        let file = first(
            Client::ClaudeCode,
            places(None, Some("/c")),
            Platform::Linux,
        );
        assert_eq!(file, Path::new("/c/.claude.json"));
    }

    #[test]
    fn names() {
        for client in Client::ALL {
            assert_eq!(Client::parse(client.name()).unwrap(), client);
        }
        let error = Client::parse("emacs").unwrap_err().to_string();
        assert!(
            error.contains("`emacs`") && error.contains("windsurf") && error.contains("--file"),
            "{error}"
        );
        let places = Places {
            home: Path::new("/h"),
            xdg_config: None,
            app_data: None,
            local_app_data: None,
            claude_config: None,
            cwd: Path::new("/p"),
        };
        for client in [Client::ClaudeDesktop, Client::Windsurf] {
            let error = client
                .config_files(&places, Platform::Linux, Scope::Project)
                .unwrap_err();
            assert!(matches!(error, InstallError::NoProjectScope { .. }));
        }
    }
}
