// An SMS centre: npm's smpp speaks the protocol, this does as told. One JSON a line: orders come on
// stdin, what happens goes to stdout.
"use strict";
const readline = require("node:readline");
const smpp = require("smpp");

const [user, password] = process.argv.slice(2);
const sessions = new Set();
const told = { throttle: 0, throttleLater: 0, refuse: 0, refuseLater: 0, hold: false, deaf: false };
const held = [];
let ids = 0;

const say = (event, more) => process.stdout.write(JSON.stringify({ event, ...more }) + "\n");

function submitted(session, pdu) {
  const { udh, message } = pdu.short_message;
  const header = udh ? Buffer.concat(udh.map((one) => Buffer.from(one))).toString("hex") : "";
  const later = header !== "" && !header.endsWith("01");
  const answer = (status, id) =>
    session.send(pdu.response({ command_status: status, message_id: id }));
  const refuse = later ? told.refuseLater : told.refuse;
  if (refuse) return answer(refuse, "");
  if (later ? told.throttleLater-- > 0 : told.throttle-- > 0) {
    say("throttled");
    return answer(smpp.ESME_RTHROTTLED, "");
  }
  const id = `c${(ids += 1)}`;
  say("submit", {
    id,
    header,
    message,
    coding: pdu.data_coding,
    to: pdu.destination_addr,
    from: pdu.source_addr,
    ton: [pdu.source_addr_ton, pdu.source_addr_npi, pdu.dest_addr_ton, pdu.dest_addr_npi],
    valid: Math.round((pdu.validity_period - Date.now()) / 1000),
    report: pdu.registered_delivery,
  });
  if (told.hold) held.push(() => answer(0, id));
  else answer(0, id);
}

const server = smpp.createServer({}, (session) => {
  session.on("error", () => {});
  session.on("close", () => sessions.delete(session) && say("closed"));
  session.on("bind_transceiver", (pdu) => {
    const known = pdu.system_id === user && pdu.password === password;
    if (known) sessions.add(session);
    session.send(pdu.response({ command_status: known ? 0 : smpp.ESME_RBINDFAIL }));
    say("bind", { known });
  });
  session.on("submit_sm", (pdu) => submitted(session, pdu));
  session.on("enquire_link", (pdu) => {
    say("enquired");
    if (!told.deaf) session.send(pdu.response());
  });
  session.on("unbind", (pdu) => {
    session.send(pdu.response());
    say("unbind");
  });
});

const orders = {
  tell: (order) => Object.assign(told, order.told) && say("told"),
  release: () => held.splice(0).forEach((answer) => answer()),
  drop: () => sessions.forEach((session) => session.destroy()),
  unbind: () => sessions.forEach((session) => session.unbind(() => session.close())),
  enquire: () => sessions.forEach((session) => session.enquire_link(() => say("answered"))),
  raw: (order) => sessions.forEach((one) => one.socket.write(Buffer.from(order.hex, "hex"))),
  deliver: (order) => {
    const [session] = sessions;
    session.deliver_sm(order.pdu, (answer) => say("delivered", { status: answer.command_status }));
  },
};

server.listen(0, "127.0.0.1", () => say("listening", { port: server.address().port }));
readline.createInterface({ input: process.stdin })
  .on("line", (line) => ((order) => orders[order.order](order))(JSON.parse(line)))
  .on("close", () => process.exit(0));
