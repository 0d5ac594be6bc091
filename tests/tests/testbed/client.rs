//! A client that can do one thing with any server: keep a word.

use std::time::Duration;

use sea_orm::sqlx::mysql::MySqlConnection;
use sea_orm::sqlx::postgres::PgConnection;
use sea_orm::sqlx::{self, Connection};
use stanchion_tests::testbed::Kind;
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader};
use tokio::net::TcpStream;
use tokio::time::timeout;
use url::Url;

/// How long a server is watched that must not answer. One that works answers in a few milliseconds.
const WATCHED: Duration = Duration::from_millis(400);

pub(crate) enum Client {
    Postgres(PgConnection),
    MariaDb(MySqlConnection),
    Redis(BufReader<TcpStream>),
}

impl Client {
    pub(crate) async fn connect(kind: Kind, url: &str) -> anyhow::Result<Self> {
        Ok(match kind {
            Kind::Postgres => Self::Postgres(PgConnection::connect(url).await?),
            Kind::MariaDb => Self::MariaDb(MySqlConnection::connect(url).await?),
            Kind::Redis => {
                let url = Url::parse(url)?;
                let stream = TcpStream::connect((url.host_str().unwrap(), url.port().unwrap())).await?;
                let mut client = Self::Redis(BufReader::new(stream));
                assert_eq!(client.redis(&format!("AUTH {}", url.password().unwrap())).await?, "+OK");
                client
            }
        })
    }

    pub(crate) async fn keep(&mut self, word: &'static str) -> anyhow::Result<()> {
        let table = "CREATE TABLE IF NOT EXISTS kept (word VARCHAR(50))";
        match self {
            Self::Postgres(connection) => {
                sqlx::query(table).execute(&mut *connection).await?;
                sqlx::query("INSERT INTO kept VALUES ($1)").bind(word).execute(connection).await?;
            }
            Self::MariaDb(connection) => {
                sqlx::query(table).execute(&mut *connection).await?;
                sqlx::query("INSERT INTO kept VALUES (?)").bind(word).execute(connection).await?;
            }
            Self::Redis(_) => assert_eq!(self.redis(&format!("SET kept {word}")).await?, "+OK"),
        }
        Ok(())
    }

    pub(crate) async fn kept(&mut self) -> anyhow::Result<String> {
        let query = "SELECT word FROM kept";
        Ok(match self {
            Self::Postgres(connection) => sqlx::query_scalar(query).fetch_one(connection).await?,
            Self::MariaDb(connection) => sqlx::query_scalar(query).fetch_one(connection).await?,
            Self::Redis(stream) => {
                stream.get_mut().write_all(b"GET kept\r\n").await?;
                let length = line(stream).await?;
                anyhow::ensure!(length.starts_with('$') && length != "$-1", "no answer or no word: {length}");
                line(stream).await?
            }
        })
    }

    /// Whether the server leaves a question without an answer.
    pub(crate) async fn is_left_waiting(&mut self) -> bool {
        timeout(WATCHED, self.kept()).await.is_err()
    }

    async fn redis(&mut self, command: &str) -> anyhow::Result<String> {
        let Self::Redis(stream) = self else { anyhow::bail!("not Redis") };
        stream.get_mut().write_all(format!("{command}\r\n").as_bytes()).await?;
        line(stream).await
    }
}

async fn line(stream: &mut BufReader<TcpStream>) -> anyhow::Result<String> {
    let mut line = String::new();
    anyhow::ensure!(stream.read_line(&mut line).await? > 0, "the connection was closed");
    Ok(line.trim_end().to_owned())
}
