//! A PostgreSQL server of the tests' own, or the one that `CRM_TEST_POSTGRES_URL` names.
#![allow(dead_code, reason = "each test binary uses a part of this")]

use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Mutex, OnceLock};
use std::time::{Duration, Instant};

/// Where a server can be reached.
#[derive(Debug)]
pub(crate) struct Server {
    /// Without the name of a database, and with what comes after it.
    url: (String, String),
    folder: Option<PathBuf>,
}

/// The shells that end the servers, whose input stays open as long as this process lives.
static SHELLS: Mutex<Vec<Child>> = Mutex::new(Vec::new());

/// The server of this test binary, started when it is first asked for. None if there is no PostgreSQL here; then
/// one line says so.
pub(crate) fn server() -> Option<&'static Server> {
    static SERVER: OnceLock<Option<Server>> = OnceLock::new();
    let server = SERVER.get_or_init(|| {
        if let Ok(url) = std::env::var("CRM_TEST_POSTGRES_URL") {
            return Some(Server::given(&url));
        }
        let started = Server::start(&[]);
        if started.is_none() {
            // Not by a macro: what those print is kept from view while a test passes.
            let line = "skipped: there is no PostgreSQL here, and CRM_TEST_POSTGRES_URL is not set\n";
            let _ = std::io::stderr().write_all(line.as_bytes());
        }
        started
    });
    server.as_ref()
}

impl Server {
    fn given(url: &str) -> Self {
        let (before, after) = url.split_once('?').map_or((url, String::new()), |(url, rest)| (url, format!("?{rest}")));
        let scheme = before.find("://").map_or(0, |at| at + 3);
        let host = before[scheme..].find('/').map_or(before, |at| &before[..scheme + at]);
        Server { url: (format!("{host}/"), after), folder: None }
    }

    /// Starts a server with further settings in its configuration. None if there is no PostgreSQL here.
    pub(crate) fn start(settings: &[&str]) -> Option<Self> {
        let programs = programs()?;
        let folder = fresh_folder();
        make_files(&programs, &folder);
        let unprivileged = is_root().then_some("nobody");
        let data = folder.join("data");
        let mut serve: Vec<std::ffi::OsString> = vec![programs.join("postgres").into(), "-D".into(), data.into()];
        serve.extend(["-k".into(), folder.clone().into()]);
        for setting in ["listen_addresses=", "fsync=off", "max_connections=200"].iter().chain(settings) {
            serve.extend(["-c".into(), setting.into()]);
        }
        let log = std::fs::File::create(folder.join("log")).expect("a log for the server");
        // When this process ends, however it does, the shell reads the end of its input.
        let until_we_end = "folder=$1; shift; \"$@\" </dev/null & server=$!; read end; \
            kill -QUIT $server; wait $server; rm -rf \"$folder\"";
        let mut shell = Command::new("sh");
        shell.args(["-c", until_we_end, "sh"]).arg(&folder).args(prefix(unprivileged)).args(serve);
        let shell = shell.current_dir(&folder).stdin(Stdio::piped()).stdout(Stdio::null()).stderr(log).spawn();
        let shell = shell.expect("the server starts");
        let server = Server {
            url: ("postgresql://postgres@/".into(), format!("?host={}", folder.display())),
            folder: Some(folder),
        };
        SHELLS.lock().expect("nothing panics with it").push(shell);
        server.wait(&programs, settings);
        Some(server)
    }

    fn wait(&self, programs: &Path, settings: &[&str]) {
        let deadline = Instant::now() + Duration::from_secs(120);
        let folder = self.folder.as_deref().unwrap_or(Path::new("."));
        while Instant::now() < deadline {
            let mut ready = Command::new(programs.join("pg_isready"));
            let port = settings.iter().find_map(|setting| setting.strip_prefix("port=")).unwrap_or("5432");
            let ready = ready.args(["-q", "-p", port, "-h"]).arg(folder).status();
            if ready.is_ok_and(|status| status.success()) {
                return;
            }
            std::thread::sleep(Duration::from_millis(20));
        }
        let log = std::fs::read_to_string(folder.join("log")).unwrap_or_default();
        unreachable!("the server should have started: {log}");
    }

    /// Where a database is.
    pub(crate) fn url(&self, database: &str) -> String {
        self.url_as("postgres", database)
    }

    /// Where a database is for a user.
    pub(crate) fn url_as(&self, user: &str, database: &str) -> String {
        let before = self.url.0.replace("postgres@", &format!("{user}@"));
        format!("{before}{database}{}", self.url.1)
    }

    /// A database of a test's own.
    pub(crate) fn database(&self) -> String {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let number = COUNT.fetch_add(1, Ordering::Relaxed);
        let name = format!("crm_test_{}_{number}", std::process::id());
        block_on(async {
            let postgres = connect(&self.url("postgres")).await;
            postgres.batch_execute(&format!("CREATE DATABASE {name}")).await.expect("a database is made");
        });
        name
    }

    /// A role that may make schemas in a database and nothing else.
    pub(crate) fn role(&self, database: &str) -> String {
        let role = format!("{database}_shop");
        let text = format!("CREATE ROLE {role} LOGIN; GRANT CREATE ON DATABASE {database} TO {role}");
        block_on(async { connect(&self.url("postgres")).await.batch_execute(&text).await.expect("a role is made") });
        role
    }

    /// The folder of the server, if it is the tests' own.
    pub(crate) fn folder(&self) -> Option<&Path> {
        self.folder.as_deref()
    }
}

/// A connection, driven on the runtime that this is called on.
pub(crate) async fn connect(url: &str) -> tokio_postgres::Client {
    let (client, connection) = tokio_postgres::connect(url, tokio_postgres::NoTls).await.expect("the server answers");
    tokio::spawn(async move {
        let _ended = connection.await;
    });
    client
}

/// Runs a test that needs tokio.
pub(crate) fn block_on<T>(test: impl Future<Output = T>) -> T {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build();
    runtime.expect("a runtime").block_on(test)
}

/// A folder for a server, which is the server's own.
pub(crate) fn fresh_folder() -> PathBuf {
    static COUNT: AtomicU32 = AtomicU32::new(0);
    let number = COUNT.fetch_add(1, Ordering::Relaxed);
    // The path of a socket may have about 100 bytes.
    let folder = std::env::temp_dir().join(format!("crm-pg-{}-{number}", std::process::id()));
    let _ = std::fs::remove_dir_all(&folder);
    std::fs::create_dir(&folder).expect("a folder for the server");
    if is_root() {
        run(Command::new("chown").arg("nobody").arg(&folder));
    }
    folder
}

/// Makes the files of a server in a folder.
pub(crate) fn make_files(programs: &Path, folder: &Path) {
    let (program, arguments) = as_server(&programs.join("initdb"));
    let mut init = Command::new(program);
    init.args(arguments)
        .args(["-U", "postgres", "-A", "trust", "-E", "UTF8", "--locale=C", "-N", "-D"])
        .arg(folder.join("data"));
    run(init.current_dir(folder));
}

/// A program and its first arguments, to be run by a user who may run a server.
pub(crate) fn as_server(program: &Path) -> (std::ffi::OsString, Vec<std::ffi::OsString>) {
    let unprivileged = is_root().then_some("nobody");
    let mut words: Vec<std::ffi::OsString> = prefix(unprivileged).into_iter().map(Into::into).collect();
    words.push(program.into());
    (words.remove(0), words)
}

/// Whether the server with its socket in a folder answers.
pub(crate) fn answers(programs: &Path, folder: &Path) -> bool {
    let mut ready = Command::new(programs.join("pg_isready"));
    ready.args(["-q", "-h"]).arg(folder).status().is_ok_and(|status| status.success())
}

/// The folder of the newest server's programs.
pub(crate) fn programs() -> Option<PathBuf> {
    let on_path =
        std::env::var_os("PATH").into_iter().flat_map(|path| std::env::split_paths(&path).collect::<Vec<_>>());
    let complete =
        |folder: &PathBuf| ["initdb", "postgres", "pg_isready"].iter().all(|name| folder.join(name).is_file());
    let mut folders: Vec<PathBuf> = std::fs::read_dir("/usr/lib/postgresql")
        .into_iter()
        .flatten()
        .flatten()
        .map(|version| version.path().join("bin"))
        .collect();
    folders.sort_by_key(|folder| {
        let version = folder.parent().and_then(Path::file_name).and_then(|name| name.to_str());
        version.and_then(|version| version.parse::<u32>().ok())
    });
    on_path.chain(folders.into_iter().rev()).find(complete)
}

fn is_root() -> bool {
    let output = Command::new("id").arg("-u").output();
    output.is_ok_and(|output| output.stdout.trim_ascii() == b"0")
}

/// Makes files the server's own, which insists on it for its keys, and readable for nobody else.
pub(crate) fn give_to_server(paths: &[&Path]) {
    run(Command::new("chmod").arg("go-rwx").args(paths));
    if is_root() {
        run(Command::new("chown").arg("nobody").args(paths));
    }
}

/// What stands before a program that a user runs.
fn prefix(user: Option<&str>) -> Vec<&str> {
    user.map_or_else(Vec::new, |user| vec!["setpriv", "--reuid", user, "--regid", "nogroup", "--clear-groups", "--"])
}

fn run(command: &mut Command) {
    let output = command.output().expect("the program is there");
    assert!(output.status.success(), "{command:?}: {}", String::from_utf8_lossy(&output.stderr));
}
