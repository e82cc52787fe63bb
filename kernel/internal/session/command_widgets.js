// The page's side of GoNB's widgets: globalThis.gonb_comm, by which scripts in the page exchange values with the program
// under addresses. It has a connection of its own to the kernel, since a script in an output cannot reach JupyterLab's.
"use strict";
(() => {
    if (globalThis.gonb_comm) {
        globalThis.gonb_comm.close(1000, "another takes over");
    }
    const config = JSON.parse(document.getElementById("jupyter-config-data")?.textContent || "{}");
    const url = new URL(config.baseUrl || document.body?.dataset?.baseUrl || "/", document.location.href);
    url.protocol = url.protocol === "https:" ? "wss:" : "ws:";
    url.pathname += "api/kernels/" + encodeURIComponent(KERNEL_ID) + "/channels";
    url.search = "";
    const session = newID();
    url.searchParams.set("session_id", session);
    if (config.token) {
        url.searchParams.set("token", config.token);
    }

    function newID() {
        const bytes = crypto.getRandomValues(new Uint8Array(16));
        return Array.from(bytes, (b) => b.toString(16).padStart(2, "0")).join("");
    }

    const id = newID(); // of the comm
    const listeners = new Map(); // address -> Map(symbol -> callback)
    const addresses = new Map(); // symbol -> address
    const variables = new Map(); // address -> SyncedVariable
    const socket = new WebSocket(url);
    let subshell; // of the kernel, so that values arrive while a cell runs
    let creation; // id of the request for it
    let acknowledge;
    const connected = new Promise((resolve, reject) => {
        acknowledge = resolve;
        socket.addEventListener("open", () => creation = post("create_subshell_request", {}, "control"));
        socket.addEventListener("close", () => reject(new Error("gonb_comm: the connection to the kernel is closed")));
    });
    connected.catch(() => {});

    function post(type, content, channel = "shell") {
        const header = {msg_id: newID(), msg_type: type, username: "", session: session, date: new Date().toISOString(), version: "5.5"};
        if (subshell && channel === "shell") {
            header.subshell_id = subshell;
        }
        socket.send(JSON.stringify({header, msg_id: header.msg_id, msg_type: type, parent_header: {}, metadata: {}, content, buffers: [], channel}));
        return header.msg_id;
    }

    function receive(data) {
        const address = data?.address;
        if (address === "#comm_open_ack") {
            acknowledge();
        } else if (address === "#heartbeat/ping") {
            comm.send("#heartbeat/pong", true);
        } else if (data?.read_request) {
            if (variables.has(address)) {
                comm.send(address, variables.get(address).get());
            }
        } else if (address && data.value !== undefined) {
            for (const callback of [...(listeners.get(address)?.values() ?? [])]) {
                callback(address, data.value);
            }
        }
    }

    socket.addEventListener("message", (event) => {
        if (typeof event.data !== "string") {
            return; // with buffers: not for us
        }
        const message = JSON.parse(event.data);
        if (message.msg_type === "create_subshell_reply" && message.parent_header?.msg_id === creation) {
            subshell = message.content?.subshell_id;
            post("comm_open", {comm_id: id, target_name: "gonb_comm", kernel_id: KERNEL_ID, data: {}});
        } else if (message.msg_type === "comm_msg" && message.content?.comm_id === id) {
            if (comm.debug) {
                console.log("gonb_comm received", message.content.data);
            }
            receive(message.content.data);
        }
    });
    socket.addEventListener("close", () => {
        if (globalThis.gonb_comm === comm) {
            delete globalThis.gonb_comm;
        }
    });

    class SyncedVariable {
        constructor(address) {
            this.address = address;
            this.value = null;
            this.callbacks = new Map();
            comm.subscribe(address, (_, value) => this.change(value));
        }
        change(value) { // and tell those in the page
            if (this.value === value) {
                return false;
            }
            this.value = value;
            for (const callback of [...this.callbacks.values()]) {
                callback(value);
            }
            return true;
        }
        set(value) {
            if (this.change(value)) {
                comm.send(this.address, value);
            }
        }
        get() {
            return this.value;
        }
        subscribe(callback) {
            const subscription = Symbol(this.address);
            this.callbacks.set(subscription, callback);
            return subscription;
        }
        unsubscribe(subscription) {
            this.callbacks.delete(subscription);
        }
    }

    const comm = {
        debug: false,
        send(address, value) {
            connected.then(() => post("comm_msg", {comm_id: id, data: {address, value}})).catch((err) => console.error("gonb_comm:", address, err));
        },
        subscribe(address, callback) {
            const subscription = Symbol(address);
            if (!listeners.has(address)) {
                listeners.set(address, new Map());
            }
            listeners.get(address).set(subscription, callback);
            addresses.set(subscription, address);
            return subscription;
        },
        unsubscribe(subscription) {
            listeners.get(addresses.get(subscription))?.delete(subscription);
            addresses.delete(subscription);
        },
        newSyncedVariable(address, value) {
            if (!variables.has(address)) {
                variables.set(address, new SyncedVariable(address));
            }
            const variable = variables.get(address);
            variable.set(value);
            return variable;
        },
        close(code, reason) {
            if (globalThis.gonb_comm === comm) {
                delete globalThis.gonb_comm;
            }
            if (subshell && socket.readyState === WebSocket.OPEN) {
                post("delete_subshell_request", {subshell_id: subshell}, "control");
            }
            socket.close(code ?? 1000, reason);
        },
    };
    globalThis.gonb_comm = comm;
})();
