//! A connection to a server, and the requests that commands make on it.

use super::Failure;
use ovsdb::wire::{Address, Duplex, Splitter};
use ovsdb::{Json, Schema, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};

/// A connection.
pub struct Rpc {
    stream: Box<dyn Duplex>,
    splitter: Splitter,
    /// As it was asked for, for messages.
    pub name: String,
    next_id: u64,
}

impl Rpc {
    /// Connects, or waits for one connection if `server` is to be listened on.
    ///
    /// # Errors
    /// The original's line.
    pub async fn open(server: &str, rundir: &str) -> Result<Rpc, Failure> {
        let failed = |what: &str, e: std::io::Error| {
            let why = e.to_string();
            let why = why
                .split(" (os error")
                .next()
                .unwrap_or_default()
                .to_owned();
            format!("{what} \"{server}\" ({why})")
        };
        let address = Address::parse(server, rundir).ok_or_else(|| {
            format!("failed to connect to \"{server}\" (Address family not supported by protocol)")
        })?;
        let stream = if address.is_passive() {
            let listener = address
                .listen()
                .await
                .map_err(|e| failed("failed to connect or listen to", e))?;
            listener
                .accept()
                .await
                .map_err(|e| failed("failed to accept connection on", e))?
        } else {
            address
                .connect()
                .await
                .map_err(|e| failed("failed to connect to", e))?
        };
        Ok(Rpc {
            stream,
            splitter: Splitter::default(),
            name: server.to_owned(),
            next_id: 0,
        })
    }

    /// Sends a request; answers its id.
    ///
    /// # Errors
    /// The connection's.
    pub async fn send(&mut self, method: &str, params: Json) -> Result<Json, Failure> {
        let id = Json::from(self.next_id);
        self.next_id += 1;
        self.write(&serde_json::json!({"id": id, "method": method, "params": params}))
            .await?;
        Ok(id)
    }

    async fn write(&mut self, message: &Json) -> Result<(), Failure> {
        let text = json::to_string(message);
        let sent = self.stream.write_all(text.as_bytes()).await;
        sent.map_err(|e| format!("{}: send failed ({e})", self.name))
    }

    /// The next message; the server's probes are answered on the way. A call that is dropped loses
    /// nothing.
    ///
    /// # Errors
    /// The connection's.
    pub async fn receive(&mut self) -> Result<Json, Failure> {
        let received = self.receive_plainly().await;
        received.map_err(|why| format!("{}: receive failed ({why})", self.name))
    }

    /// As [`Rpc::receive`]; the error is the reason alone.
    async fn receive_plainly(&mut self) -> Result<Json, Failure> {
        let mut buffer = vec![0; 64 << 10];
        loop {
            let message = self
                .splitter
                .next_message()?
                .map(json::parse_shallow)
                .transpose()?;
            if let Some(message) = message {
                if message.get("method").and_then(Json::as_str) == Some("echo") {
                    let id = message.get("id").cloned().unwrap_or(Json::Null);
                    let params = message.get("params").cloned().unwrap_or(Json::Null);
                    let reply = serde_json::json!({"error": null, "id": id, "result": params});
                    self.write(&reply).await?;
                    continue;
                }
                return Ok(message);
            }
            let n = self
                .stream
                .read(&mut buffer)
                .await
                .map_err(|e| daemon::log::reason(&e))?;
            if n == 0 {
                return Err("End of file".to_owned());
            }
            self.splitter.feed(buffer.get(..n).unwrap_or_default());
        }
    }

    /// Sends a request and waits for its reply: the result, or the server's error.
    ///
    /// # Errors
    /// The connection's.
    pub async fn call(
        &mut self,
        method: &str,
        params: Json,
    ) -> Result<Result<Json, Json>, Failure> {
        let id = self.send(method, params).await?;
        loop {
            let mut message = self.receive_plainly().await?;
            if message.get("method").is_none() && message.get("id") == Some(&id) {
                let mut take = |name: &str| message.get_mut(name).map_or(Json::Null, Json::take);
                let (result, error) = (take("result"), take("error"));
                return Ok(if error.is_null() {
                    Ok(result)
                } else {
                    Err(error)
                });
            }
        }
    }

    /// As [`Rpc::call`], with the server's error as a failure.
    ///
    /// # Errors
    /// The connection's, and the server's.
    pub async fn transact(&mut self, method: &str, params: Json) -> Result<Json, Failure> {
        match self.call(method, params).await {
            Err(why) => Err(format!("transaction failed ({why})")),
            Ok(Err(error)) => Err(format!(
                "transaction returned error: {}",
                json::to_string(&error)
            )),
            Ok(Ok(result)) => Ok(result),
        }
    }

    /// The names of the server's databases, sorted.
    ///
    /// # Errors
    /// As [`Rpc::transact`].
    pub async fn databases(&mut self) -> Result<Vec<String>, Failure> {
        let result = self.transact("list_dbs", serde_json::json!([])).await?;
        let names = result.as_array().ok_or("list_dbs response is not array")?;
        let mut names = names
            .iter()
            .enumerate()
            .map(|(i, name)| {
                let name = name.as_str().map(str::to_owned);
                name.ok_or_else(|| format!("list_dbs response {i} is not string"))
            })
            .collect::<Result<Vec<_>, _>>()?;
        names.sort();
        Ok(names)
    }

    /// The schema of a database.
    ///
    /// # Errors
    /// As [`Rpc::transact`].
    pub async fn schema(&mut self, database: &str) -> Result<Schema, Failure> {
        let json = self
            .transact("get_schema", serde_json::json!([database]))
            .await?;
        Schema::from_json(&json).map_err(|e| e.to_string())
    }
}
