//! What fits through a stream, and what a peer loses its connection for.

use brine_wire::agent::AgentRequest;
use brine_wire::codec;
use brine_wire::enroll::{EnrollReply, EnrollRequest};
use brine_wire::operator::{OperatorReply, OperatorRequest};

use super::{node, operator, pair};
use crate::Alpn;
use crate::closed::{Closed, Code};
use crate::connection::Connection;
use crate::limits::{ANONYMOUS_FRAME, FRAME};
use crate::stream::{RequestError, Stream};

/// Opens a stream and writes `bytes` into it as they are.
async fn write(client: &Connection, bytes: &[u8]) -> Stream {
    let mut stream = client.open().await.unwrap();
    stream.send_raw(bytes).await.unwrap();
    stream.finish().unwrap();
    stream
}

fn frame(message: &impl serde::Serialize) -> Vec<u8> {
    let body = codec::encode(message).unwrap();
    let mut frame = (body.len() as u32).to_be_bytes().to_vec();
    frame.extend_from_slice(&body);
    frame
}

#[tokio::test]
async fn a_request_that_is_not_this_peers_to_make() {
    let (server, client, _listener) = pair(Alpn::Agent, Some(node("db01"))).await;
    let _stream = write(&client, &frame(&OperatorRequest::Status)).await;
    let mut stream = server.accept().await.unwrap();
    let read = stream.read_request::<OperatorRequest>().await;
    assert!(matches!(read, Err(RequestError::Forbidden)), "{read:?}");
    assert!(matches!(
        client.closed().await,
        Closed::ByPeer {
            code: Code::FORBIDDEN,
            ..
        }
    ));
}

#[tokio::test]
async fn malformed_requests_cost_the_connection() {
    let mut trailing_in_frame = frame(&OperatorRequest::Status);
    trailing_in_frame.push(0);
    trailing_in_frame[3] += 1;
    let mut trailing_in_stream = frame(&OperatorRequest::Status);
    trailing_in_stream.push(0);
    let cases = [
        trailing_in_frame,
        trailing_in_stream,
        vec![0, 0, 0, 1, 0xff],
        (FRAME as u32 + 1).to_be_bytes().to_vec(),
        u32::MAX.to_be_bytes().to_vec(),
    ];
    for bytes in cases {
        let (server, client, _listener) = pair(Alpn::Ctl, Some(operator("admin"))).await;
        let _stream = write(&client, &bytes).await;
        let mut stream = server.accept().await.unwrap();
        stream.read_request::<OperatorRequest>().await.unwrap_err();
        let closed = client.closed().await;
        assert!(
            matches!(
                closed,
                Closed::ByPeer {
                    code: Code::MALFORMED,
                    ..
                }
            ),
            "{bytes:?}"
        );
    }
}

#[tokio::test]
async fn half_a_request_costs_only_itself() {
    let (server, client, _listener) = pair(Alpn::Ctl, Some(operator("admin"))).await;
    for bytes in [vec![], vec![0, 0], vec![0, 0, 0, 9, 1]] {
        let _stream = write(&client, &bytes).await;
        // An empty stream shows when its end arrives.
        let mut stream = server.accept().await.unwrap();
        let read = stream.read_request::<OperatorRequest>().await;
        assert!(matches!(read, Err(RequestError::Ended)), "{read:?}");
    }
    assert_eq!(server.close_reason(), None);
}

#[tokio::test]
async fn peers_without_a_certificate_get_small_frames() {
    let (server, client, _listener) = pair(Alpn::Enroll, None).await;
    let _stream = write(&client, &(ANONYMOUS_FRAME as u32 + 1).to_be_bytes()).await;
    let read = server
        .accept()
        .await
        .unwrap()
        .read_request::<EnrollRequest>()
        .await;
    assert!(
        matches!(read, Err(RequestError::TooLong { .. })),
        "{read:?}"
    );
    let reply = EnrollReply::Refused {
        reason: "x".repeat(ANONYMOUS_FRAME),
    };
    let sent = client.request::<_, EnrollReply>(&reply).await;
    assert!(matches!(
        sent,
        Err(RequestError::TooLong { .. } | RequestError::Closed(_))
    ));
}

#[tokio::test]
async fn large_frames_and_blobs_pass() {
    let (server, client, _listener) = pair(Alpn::Ctl, Some(operator("admin"))).await;
    let text = "x".repeat(FRAME - 100);
    let blob: Vec<u8> = (0..5_000_000_u32).map(|number| number as u8).collect();
    let reply = OperatorReply::Rendered {
        text,
        sensitive: false,
    };
    let answer = async {
        let mut stream = server.accept().await.unwrap();
        stream.read_request::<OperatorRequest>().await.unwrap();
        stream.send(&reply).await.unwrap();
        stream
            .send_from(&mut blob.as_slice(), blob.len() as u64)
            .await
            .unwrap();
        stream.send_raw(&blob).await.unwrap();
        stream.finish().unwrap();
    };
    let ask = async {
        let mut stream = client
            .request_stream(&OperatorRequest::Status)
            .await
            .unwrap();
        let got: OperatorReply = stream.receive().await.unwrap().unwrap();
        let first = stream.receive_raw(blob.len() as u64).await.unwrap();
        let mut second = Vec::new();
        stream
            .receive_into(&mut second, blob.len() as u64)
            .await
            .unwrap();
        assert!(stream.receive::<OperatorReply>().await.unwrap().is_none());
        (got, first, second)
    };
    let ((), (got, first, second)) = tokio::join!(answer, ask);
    assert!(got == reply && first == blob && second == blob);
}

#[tokio::test]
async fn a_blob_that_breaks_off() {
    let (server, client, _listener) = pair(Alpn::Agent, Some(node("db01"))).await;
    let answer = async {
        let mut stream = server.accept().await.unwrap();
        stream.read_request::<AgentRequest>().await.unwrap();
        stream.send_raw(&[7; 100]).await.unwrap();
        stream.finish().unwrap();
    };
    let request = AgentRequest::Blob(brine_model::digest::Digest::of(b"x"));
    let ask = async {
        let mut stream = client.request_stream(&request).await.unwrap();
        // Believing this would take all memory.
        stream.receive_raw(u64::MAX).await
    };
    let ((), read) = tokio::join!(answer, ask);
    assert!(matches!(read, Err(RequestError::Ended)), "{read:?}");
}

#[tokio::test]
async fn an_abandoned_exchange_leaves_the_others_alone() {
    let (server, client, _listener) = pair(Alpn::Agent, Some(node("db01"))).await;
    let request = AgentRequest::Blob(brine_model::digest::Digest::of(b"x"));
    drop(client.request_stream(&request).await.unwrap());
    let mut stream = server.accept().await.unwrap();
    stream.read_request::<AgentRequest>().await.unwrap();
    // Much more than the windows hold, into a stream that nobody reads.
    let sent = stream.send_raw(&vec![0; 8 << 20]).await;
    assert!(matches!(sent, Err(RequestError::Stopped)), "{sent:?}");
    assert_eq!(server.close_reason(), None);
}
