//! What is said, and what is recorded of it.

use super::{Duration, check, check_on, exchange};

#[test]
fn the_sessionful_generation() {
    check(
        r#"
C {"method":"initialize","params":{"protocolVersion":"2025-11-25","capabilities":{},"clientInfo":{"name":"a","version":"1"}},"jsonrpc":"2.0","id":0}
S {"result":{"protocolVersion":"2025-11-25","serverInfo":{"name":"s","version":"2"}},"jsonrpc":"2.0","id":0}
C {"jsonrpc":"2.0","method":"notifications/initialized"}
S {"method":"roots/list","jsonrpc":"2.0","id":0}
C {"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"add","arguments":{"a":1},"_meta":{"progressToken":1}}}
C {"result":{"roots":[]},"jsonrpc":"2.0","id":0}
S {"method":"notifications/progress","params":{"progress":1,"progressToken":1},"jsonrpc":"2.0"}
C {"jsonrpc":"2.0","id":2,"method":"resources/read","params":{"uri":"file:///a"}}
S {"result":{"contents":[]},"jsonrpc":"2.0","id":2}
S {"result":{"content":[{"type":"text","text":"no such thing"}],"isError":true},"jsonrpc":"2.0","id":1}
S {"method":"notifications/progress","params":{"progress":2,"progressToken":1},"jsonrpc":"2.0"}
C {"jsonrpc":"2.0","id":3,"method":"prompts/get","params":{"name":"p","arguments":{}}}
S {"jsonrpc":"2.0","id":3,"error":{"code":-32602,"message":"unknown prompt"}}
S {"jsonrpc":"2.0","id":"e","method":"elicitation/create","params":{"message":"?"}}
C {"jsonrpc":"2.0","id":"e","result":{"action":"decline"}}
S {"jsonrpc":"2.0","id":"f","method":"sampling/createMessage","params":{}}
C {"jsonrpc":"2.0","id":"f","error":{"code":-1,"message":"no"}}
"#,
        r#"
#0 mcp_request intent c>s 0 initialize = pending
#1 client_connected protocol_version=2025-11-25
#2 mcp_request of #0 s>c 0 initialize = ok call #0
#3 mcp_notification c>s notifications/initialized
#4 mcp_request intent s>c 0 roots/list = pending
#5 tool_call intent c>s 1 tools/call add = pending
#6 mcp_request of #4 c>s 0 roots/list = ok call #4
#7 mcp_notification s>c notifications/progress call #5 progress_token=1
#8 resource_read intent c>s 2 resources/read file:///a = pending
#9 resource_read of #8 s>c 2 resources/read file:///a = ok call #8
#10 tool_call of #5 s>c 1 tools/call add = error (tool: no such thing) call #5
#11 mcp_notification s>c notifications/progress progress_token=1
#12 prompt_get intent c>s 3 prompts/get p = pending
#13 prompt_get of #12 s>c 3 prompts/get p = error (protocol -32602: unknown prompt) call #12
#14 elicitation intent s>c "e" elicitation/create = pending
#15 elicitation of #14 c>s "e" elicitation/create = ok call #14
#16 sampling intent s>c "f" sampling/createMessage = pending
#17 sampling of #16 c>s "f" sampling/createMessage = error (protocol -1: no) call #16
"#,
    );
}

#[test]
fn the_stateless_generation() {
    check(
        r#"
C {"jsonrpc":"2.0","id":"d","method":"server/discover","params":{"_meta":{"io.modelcontextprotocol/protocolVersion":"2026-07-28","io.modelcontextprotocol/clientInfo":{"name":"a","version":"1"}}}}
S {"jsonrpc":"2.0","id":"d","result":{"resultType":"complete","_meta":{"io.modelcontextprotocol/serverInfo":{"name":"s","version":"1"}}}}
C {"jsonrpc":"2.0","id":"l","method":"subscriptions/listen","params":{"_meta":{"io.modelcontextprotocol/clientInfo":{"name":"a","version":"1"}}}}
S {"jsonrpc":"2.0","method":"notifications/subscriptions/acknowledged","params":{"_meta":{"io.modelcontextprotocol/subscriptionId":"l"}}}
S {"jsonrpc":"2.0","method":"notifications/cancelled","params":{"requestId":"l"}}
S {"jsonrpc":"2.0","id":"l","result":{}}
C {"jsonrpc":"2.0","id":"l","method":"subscriptions/listen"}
S {"jsonrpc":"2.0","method":"notifications/cancelled","params":{"requestId":"other"}}
leave
"#,
        r#"
#0 mcp_request intent c>s "d" server/discover = pending
#1 client_connected protocol_version=2026-07-28
#2 mcp_request of #0 s>c "d" server/discover = ok call #0
#3 mcp_request intent c>s "l" subscriptions/listen = pending
#4 mcp_notification s>c notifications/subscriptions/acknowledged
#5 mcp_notification s>c notifications/cancelled call #3 request="l"
#6 mcp_request of #3 "l" subscriptions/listen = cancelled call #3
#7 mcp_response s>c "l" late=#3
#8 mcp_request intent c>s "l" subscriptions/listen = pending
#9 mcp_notification s>c notifications/cancelled request="other"
#10 mcp_request of #8 "l" subscriptions/listen = cancelled call #8
"#,
    );
}

#[test]
fn rounds_are_one_call() {
    check(
        r#"
C {"id":1,"method":"tools/call","params":{"name":"t","arguments":{"a":1}}}
S {"id":1,"result":{"resultType":"input_required","inputRequests":{},"requestState":"s\u0031"}}
C {"id":2,"method":"tools/call","params":{"name":"t","arguments":{"a":1},"inputResponses":{"x":1},"requestState":"s1"}}
S {"id":2,"result":{"resultType":"input_required","inputRequests":{}}}
C {"id":3,"method":"tools/call","params":{"name":"t","arguments":{"a":2},"inputResponses":{}}}
C {"id":4,"method":"tools/call","params":{"name":"t","arguments":{"a":1},"inputResponses":{}}}
S {"id":4,"result":{"resultType":"complete"}}
C {"id":5,"method":"tools/call","params":{"name":"t","arguments":{"a":1},"inputResponses":{}}}
C {"id":6,"method":"tools/call","params":{"name":"t","arguments":{"a":1},"requestState":"s1"}}
"#,
        r#"
#0 tool_call intent c>s 1 tools/call t = pending
#1 tool_call of #0 s>c 1 tools/call t = pending call #0 result_type=input_required request_state=digest("s\u0031")
#2 tool_call intent c>s 2 tools/call t = pending call #0 input_responses={"x":1}
#3 tool_call of #2 s>c 2 tools/call t = pending call #0 result_type=input_required
#4 tool_call intent c>s 3 tools/call t = pending input_responses={}
#5 tool_call intent c>s 4 tools/call t = pending call #0 input_responses={}
#6 tool_call of #5 s>c 4 tools/call t = ok call #0
#7 tool_call intent c>s 5 tools/call t = pending input_responses={}
#8 tool_call intent c>s 6 tools/call t = pending
"#,
    );
}

#[test]
fn tasks_of_the_sessionful_generation() {
    check(
        r#"
C {"id":1,"method":"tools/call","params":{"name":"t","task":{"ttl":1}}}
S {"id":1,"result":{"task":{"taskId":"k","status":"working"}}}
C {"id":2,"method":"tasks/get","params":{"taskId":"k"}}
S {"id":2,"result":{"taskId":"k","status":"working"}}
S {"method":"notifications/tasks/status","params":{"taskId":"k","status":"failed","statusMessage":"boom"}}
C {"id":3,"method":"tasks/result","params":{"taskId":"k"}}
S {"id":9,"method":"elicitation/create","params":{"_meta":{"io.modelcontextprotocol/related-task":{"taskId":"k"}}}}
S {"id":3,"result":{"content":[{"text":"boom"}],"isError":true}}
C {"id":4,"method":"tasks/cancel","params":{"taskId":"k"}}
S {"id":4,"result":{"taskId":"k","status":"cancelled"}}
C {"id":5,"method":"tools/call","params":{"name":"t"}}
S {"id":5,"result":{"task":{"taskId":"not a task"}}}
C {"id":6,"method":"tasks/get","params":{"taskId":"unknown"}}
S {"id":6,"result":{"taskId":"unknown","status":"working"}}
"#,
        r#"
#0 tool_call intent c>s 1 tools/call t = pending
#1 tool_call of #0 s>c 1 tools/call t = pending call #0 task=k
#2 mcp_request intent c>s 2 tasks/get = pending call #0
#3 mcp_request of #2 s>c 2 tasks/get = pending call #0 task=k
#4 mcp_notification s>c notifications/tasks/status = error (tool: boom) call #0 task=k
#5 mcp_request intent c>s 3 tasks/result = pending call #0
#6 elicitation intent s>c 9 elicitation/create = pending task=k
#7 mcp_request of #5 s>c 3 tasks/result = error (tool: boom) call #0 task=k
#8 mcp_request intent c>s 4 tasks/cancel = pending call #0
#9 mcp_request of #8 s>c 4 tasks/cancel = cancelled call #0 task=k
#10 tool_call intent c>s 5 tools/call t = pending
#11 tool_call of #10 s>c 5 tools/call t = ok call #10
#12 mcp_request intent c>s 6 tasks/get = pending
#13 mcp_request of #12 s>c 6 tasks/get = ok call #12
"#,
    );
}

#[test]
fn tasks_of_the_extension() {
    check(
        r#"
C {"id":1,"method":"tools/call","params":{"name":"t"}}
S {"id":1,"result":{"resultType":"task","taskId":"k","status":"working"}}
C {"id":2,"method":"tasks/update","params":{"taskId":"k","inputResponses":{}}}
S {"id":2,"result":{"resultType":"complete"}}
C {"id":3,"method":"tasks/get","params":{"taskId":"k"}}
S {"id":3,"result":{"resultType":"complete","taskId":"k","status":"completed","result":{"isError":true,"content":[{"text":"no"}]}}}
S {"method":"notifications/tasks","params":{"taskId":"k","status":"failed","error":{"code":-32603,"message":"x"}}}
"#,
        r#"
#0 tool_call intent c>s 1 tools/call t = pending
#1 tool_call of #0 s>c 1 tools/call t = pending call #0 result_type=task task=k
#2 mcp_request intent c>s 2 tasks/update = pending call #0 input_responses={}
#3 mcp_request of #2 s>c 2 tasks/update = pending call #0 task=k
#4 mcp_request intent c>s 3 tasks/get = pending call #0
#5 mcp_request of #4 s>c 3 tasks/get = error (tool: no) call #0 task=k
#6 mcp_notification s>c notifications/tasks = error (protocol -32603: x) call #0 task=k
"#,
    );
}

#[test]
fn cancelled_late_and_answered_twice() {
    check(
        r#"
C {"id":1,"method":"tools/call","params":{"name":"t"}}
C {"method":"notifications/cancelled","params":{"requestId":1,"reason":"User requested"}}
S {"id":1,"result":{}}
S {"id":1,"result":{}}
C {"id":2,"method":"ping"}
C {"method":"notifications/cancelled","params":{"requestId":2,"reason":"Request timed out"}}
C {"method":"notifications/cancelled","params":{"requestId":2}}
S {"id":2,"error":{"code":-1,"message":"m"}}
S {"id":"s","method":"sampling/createMessage"}
S {"method":"notifications/cancelled","params":{"requestId":"s"}}
C {"method":"notifications/cancelled","params":{"requestId":"s"}}
S {"error":{"code":-32700,"message":"Parse error"}}
S {"id":null,"error":{"code":-32600,"message":"bad"}}
C {"id":3,"method":"ping"}
S {"id":"3","result":{}}
C {"id":3.0,"method":"ping"}
S {"id":3,"result":{}}
end
"#,
        r#"
#0 tool_call intent c>s 1 tools/call t = pending
#1 mcp_notification c>s notifications/cancelled call #0 request=1 reason=User requested
#2 tool_call of #0 1 tools/call t = cancelled call #0
#3 mcp_response s>c 1 late=#0
#4 mcp_response s>c 1
#5 mcp_request intent c>s 2 ping = pending
#6 mcp_notification c>s notifications/cancelled call #5 request=2 reason=Request timed out
#7 mcp_request of #5 2 ping = timeout call #5
#8 mcp_notification c>s notifications/cancelled request=2
#9 mcp_response s>c 2 (protocol -1: m) late=#5
#10 sampling intent s>c "s" sampling/createMessage = pending
#11 mcp_notification s>c notifications/cancelled call #10 request="s"
#12 sampling of #10 "s" sampling/createMessage = cancelled call #10
#13 mcp_notification c>s notifications/cancelled request="s"
#14 mcp_response s>c (protocol -32700: Parse error)
#15 mcp_response s>c null (protocol -32600: bad)
#16 mcp_request intent c>s 3 ping = pending
#17 mcp_response s>c "3"
#18 mcp_request intent c>s 3.0 ping = pending id_in_use=true
#19 mcp_request of #16 s>c 3 ping = ok call #16
#20 mcp_request of #18 3.0 ping = error (transport: the server exited with status 1 before it answered) call #18
"#,
    );
}

#[test]
fn the_operators_limit_for_waiting() {
    check_on(
        exchange(&[], Some(Duration::from_millis(100))),
        r#"
C {"id":1,"method":"tools/call","params":{"name":"t"}}
C {"id":2,"method":"subscriptions/listen"}
wait 50
C {"id":3,"method":"ping"}
wait 60
S {"id":1,"result":{}}
S {"id":3,"result":{}}
"#,
        r#"
#0 tool_call intent c>s 1 tools/call t = pending
#1 mcp_request intent c>s 2 subscriptions/listen = pending
#2 mcp_request intent c>s 3 ping = pending
#3 tool_call of #0 1 tools/call t = timeout (transport: no answer within 100 ms) call #0
#4 mcp_response s>c 1 late=#0
#5 mcp_request of #2 s>c 3 ping = ok call #2
"#,
    );
}

#[test]
fn lines_that_are_no_message() {
    check(
        r#"
S Listening on stdio
C {"id":1,"method":"x"
C {"id":1,"id":2,"method":"x"}
C {"id":{},"method":"x"}
end
"#,
        r#"
#0 mcp_unparsed s>c bytes=18 reason=not JSON: expected value at line 1 column 1 text=Listening on stdio
#1 mcp_unparsed c>s bytes=20 reason=not JSON: EOF while parsing an object at line 1 column 20 text={"id":1,"method":"x"
#2 mcp_request intent c>s 2 x = pending duplicate_members=true
#3 mcp_unparsed c>s bytes=22 reason=id is neither a string nor a number nor null text={"id":{},"method":"x"}
#4 mcp_request of #2 2 x = error (transport: the server exited with status 1 before it answered) call #2
"#,
    );
}

#[test]
fn definitions_of_tools() {
    let play = check_on(
        exchange(&[("old", "00"), ("t", "11")], None),
        r#"
C {"id":1,"method":"tools/call","params":{"name":"t"}}
C {"id":2,"method":"tools/list"}
S {"id":2,"result":{"tools":[{"name":"t","description":"d"}],"nextCursor":"n"}}
C {"id":3,"method":"tools/list","params":{"cursor":"n"}}
S {"id":3,"result":{"tools":[{"name":"u"}]}}
C {"id":4,"method":"tools/call","params":{"name":"u"}}
C {"id":5,"method":"tools/call","params":{"name":"unlisted"}}
C {"id":6,"method":"tools/list"}
S {"id":6,"error":{"code":1,"message":"m"}}
"#,
        r#"
#0 tool_call intent c>s 1 tools/call t = pending defined
#1 mcp_request intent c>s 2 tools/list = pending
#2 mcp_request of #1 s>c 2 tools/list = ok call #1 tools=t
#3 tool_definitions_changed changed=t was=t
#4 mcp_request intent c>s 3 tools/list = pending
#5 mcp_request of #4 s>c 3 tools/list = ok call #4 tools=u
#6 tool_definitions_changed added=u removed=old
#7 tool_call intent c>s 4 tools/call u = pending defined
#8 tool_call intent c>s 5 tools/call unlisted = pending
#9 mcp_request intent c>s 6 tools/list = pending
#10 mcp_request of #9 s>c 6 tools/list = error (protocol 1: m) call #9
"#,
    );
    assert_eq!(
        play.exchange.definitions().keys().collect::<Vec<_>>(),
        ["t", "u"]
    );
}
