use std::time::{Duration, Instant};

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::oneshot;

use crate::client::{Client, trade};

const TRADES: &str = "POST /api/v1/trades HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\n";

#[tokio::test]
async fn a_request_that_has_begun_is_finished_and_no_other_is_taken() {
    let client = Client::new().await;
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let (stop, stopped) = oneshot::channel::<()>();
    let app = client.app.clone();
    let server = tokio::spawn(stanchion_api_examples::serve(app, listener, async {
        let _ = stopped.await;
    }));

    // An idle connection, and one in the middle of its body.
    let mut idle = TcpStream::connect(address).await.unwrap();
    idle.write_all(b"GET /health HTTP/1.1\r\nhost: x\r\n\r\n").await.unwrap();
    let mut head = [0; 15];
    idle.read_exact(&mut head).await.unwrap();
    assert_eq!(&head, b"HTTP/1.1 200 OK");
    let body = trade(1).to_string();
    let (first, rest) = body.split_at(20);
    let mut busy = TcpStream::connect(address).await.unwrap();
    let request = format!("{TRADES}content-length: {}\r\n\r\n{first}", body.len());
    busy.write_all(request.as_bytes()).await.unwrap();
    tokio::time::sleep(Duration::from_millis(100)).await;

    let told = Instant::now();
    stop.send(()).unwrap();
    while TcpStream::connect(address).await.is_ok() {
        assert!(told.elapsed() < Duration::from_secs(5), "connections are still accepted");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    assert!(!server.is_finished(), "it left a request behind");

    busy.write_all(rest.as_bytes()).await.unwrap();
    let mut answer = String::new();
    busy.read_to_string(&mut answer).await.unwrap();
    assert!(answer.starts_with("HTTP/1.1 200 OK") && answer.contains(r#""inserted":1"#), "{answer}");
    server.await.unwrap().unwrap();
    assert!(told.elapsed() < Duration::from_secs(5), "an idle connection held it up");
    assert!(client.app.trading().trades(&Default::default()).await.is_err(), "the databases are closed");
}
