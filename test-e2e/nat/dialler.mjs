// Runs in a network namespace and connects for its parent, which is in another: told {id, port}, answers {id, fault} with
// the socket. Ends with its parent.
import { connect } from "node:net";

process.on("message", ({ id, port }) => {
  const socket = connect({ port, host: "127.0.0.1" });
  socket.once("connect", () => process.send({ id, fault: null }, socket));
  socket.once("error", ({ message }) => process.send({ id, fault: message }));
});
process.once("disconnect", () => process.exit());
