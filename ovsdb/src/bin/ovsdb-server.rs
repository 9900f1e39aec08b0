//! `ovsdb-server`, for now without a control socket.
use clock::Clock;
use ovsdb::server::Server;

fn main() {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap();
    runtime.block_on(async {
        let server = Server::new(Clock::real()).unwrap();
        let mut remotes = Vec::new();
        for arg in std::env::args().skip(1) {
            if let Some(remote) = arg.strip_prefix("--remote=") {
                remotes.push(remote.to_owned());
            } else {
                server.open_db(std::path::Path::new(&arg)).unwrap();
            }
        }
        for remote in remotes {
            server.add_remote(&remote).unwrap();
        }
        server.run().await;
    });
}
