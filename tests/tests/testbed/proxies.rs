//! Wires: a cut one refuses, a stalled one holds back, a delayed one is late, a restored one works.

use std::net::{Ipv4Addr, SocketAddr};
use std::time::{Duration, Instant};

use stanchion_tests::testbed::{Kind, Proxy, available};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::time::timeout;

use crate::client::Client;

/// A server that answers with what it hears.
async fn echo() -> SocketAddr {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            tokio::spawn(async move {
                let (mut reader, mut writer) = stream.split();
                tokio::io::copy(&mut reader, &mut writer).await
            });
        }
    });
    address
}

async fn say(stream: &mut TcpStream, word: &str) -> std::io::Result<String> {
    stream.write_all(word.as_bytes()).await?;
    hear(stream, word.len()).await
}

async fn hear(stream: &mut TcpStream, length: usize) -> std::io::Result<String> {
    let mut heard = vec![0; length];
    stream.read_exact(&mut heard).await?;
    Ok(String::from_utf8(heard).unwrap())
}

#[tokio::test]
async fn a_whole_wire_forwards_both_ways() {
    let proxy = Proxy::to(echo().await).await.unwrap();
    let mut stream = TcpStream::connect(proxy.address()).await.unwrap();
    let long = "a word ".repeat(100_000);
    let (mut reader, mut writer) = stream.split();
    let mut heard = Vec::new();
    let speak = async {
        writer.write_all(long.as_bytes()).await.unwrap();
        writer.shutdown().await.unwrap();
    };
    let (_, listened) = tokio::join!(speak, reader.read_to_end(&mut heard));
    assert_eq!(listened.unwrap(), long.len());
    assert!(heard == long.as_bytes());
}

#[tokio::test]
async fn a_cut_wire_drops_refuses_and_heals() {
    let proxy = Proxy::to(echo().await).await.unwrap();
    let mut stream = TcpStream::connect(proxy.address()).await.unwrap();
    assert_eq!(say(&mut stream, "one").await.unwrap(), "one");

    proxy.cut().await;
    assert!(say(&mut stream, "two").await.is_err());
    let refused = TcpStream::connect(proxy.address()).await.unwrap_err();
    assert_eq!(refused.kind(), std::io::ErrorKind::ConnectionRefused);

    proxy.restore().await.unwrap();
    let mut stream = TcpStream::connect(proxy.address()).await.unwrap();
    assert_eq!(say(&mut stream, "three").await.unwrap(), "three");
}

#[tokio::test]
async fn a_stalled_wire_holds_back_and_delivers_later() {
    let proxy = Proxy::to(echo().await).await.unwrap();
    let mut stream = TcpStream::connect(proxy.address()).await.unwrap();
    assert_eq!(say(&mut stream, "one").await.unwrap(), "one");

    proxy.stall();
    assert!(timeout(Duration::from_millis(200), say(&mut stream, "two")).await.is_err());
    let mut newcomer = TcpStream::connect(proxy.address()).await.unwrap();
    assert!(timeout(Duration::from_millis(200), say(&mut newcomer, "new")).await.is_err());

    proxy.restore().await.unwrap();
    assert_eq!(hear(&mut stream, 3).await.unwrap(), "two");
    assert_eq!(hear(&mut newcomer, 3).await.unwrap(), "new");
}

#[tokio::test]
async fn a_delayed_wire_is_late_by_twice_the_delay_a_round_trip() {
    let proxy = Proxy::to(echo().await).await.unwrap();
    let mut stream = TcpStream::connect(proxy.address()).await.unwrap();
    assert_eq!(say(&mut stream, "one").await.unwrap(), "one");

    proxy.delay(Duration::from_millis(50));
    let asked = Instant::now();
    assert_eq!(say(&mut stream, "two").await.unwrap(), "two");
    assert!(asked.elapsed() >= Duration::from_millis(100));
}

#[tokio::test]
async fn a_dropped_proxy_is_gone() {
    let proxy = Proxy::to(echo().await).await.unwrap();
    let address = proxy.address();
    let mut stream = TcpStream::connect(address).await.unwrap();
    assert_eq!(say(&mut stream, "one").await.unwrap(), "one");
    drop(proxy);
    assert_eq!(stream.read(&mut [0]).await.unwrap_or(0), 0, "the connection is closed");
    assert!(TcpStream::connect(address).await.is_err());
}

#[tokio::test]
async fn a_client_of_a_real_server_uses_the_proxy_s_url() {
    for kind in Kind::ALL {
        let Some(server) = available(kind.start().await) else { continue };
        let proxy = Proxy::to((Ipv4Addr::LOCALHOST, server.port())).await.unwrap();
        let url = proxy.url(server.url()).unwrap();
        let mut client = Client::connect(kind, &url).await.unwrap();
        client.keep("word").await.unwrap();

        proxy.cut().await;
        assert!(client.kept().await.is_err());
        assert!(Client::connect(kind, &url).await.is_err());

        proxy.restore().await.unwrap();
        assert_eq!(Client::connect(kind, &url).await.unwrap().kept().await.unwrap(), "word");
    }
}
