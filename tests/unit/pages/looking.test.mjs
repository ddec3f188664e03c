// How often a waiting page looks: its script as it is, in a time that this test makes go by.
import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import test from "node:test";
import vm from "node:vm";

const SCRIPT = readFileSync(
    new URL("../../../backend/pages/assets/pages.js", import.meta.url),
    "utf8",
);
const CALM = () => false;

/** A page whose script looks; its `answer` gives what became of a look. */
function waitingPage({ wait = "", endsAt = 0 } = {}) {
    const page = { now: 0, looks: [], streams: [], answer: CALM, gone: 0 };
    let timers = [];
    let heard = () => assert.fail("nobody listens");
    class EventSource {
        static CLOSED = 2;
        constructor(address) {
            Object.assign(this, { address, readyState: 0 });
            page.streams.push(this);
        }
        close() {
            this.readyState = 2;
        }
    }
    const document = {
        visibilityState: "visible",
        addEventListener: (_name, listener) => (heard = listener),
        querySelectorAll: () => [],
    };
    const context = vm.createContext({
        AbortSignal: {},
        document,
        EventSource,
        performance: { now: () => page.now },
        setTimeout: (work, after) => timers.push({ work, at: page.now + after }),
        clearTimeout: (number) => number && (timers[number - 1].work = null),
    });
    vm.runInContext(`${SCRIPT}; Math.random = () => 0.5;`, context);
    const ask = async () => {
        page.looks.push(page.now / 1000);
        return page.answer();
    };
    const Looking = vm.runInContext("Looking", context);
    page.see = (state) => {
        document.visibilityState = state;
        heard();
    };
    page.goOn = async (seconds) => {
        const until = page.now + seconds * 1000;
        for (;;) {
            const due = timers.filter(({ work, at }) => work && at <= until);
            if (due.length === 0) break;
            const next = due.reduce((one, other) => (other.at < one.at ? other : one));
            page.now = Math.max(page.now, next.at);
            const { work } = next;
            next.work = null;
            work();
            await new Promise(setImmediate);
        }
        page.now = until;
    };
    page.open = () => {
        const stream = page.streams.at(-1);
        stream.readyState = 1;
        stream.onopen();
        stream.onmessage();
        return stream;
    };
    const goOn = () => (page.gone += 1);
    page.looking = new Looking({ wait, ask, goOn, leftMs: () => endsAt * 1000 - page.now });
    page.looking.begin();
    return page;
}

test("with nowhere to wait it looks ever less often, and each five seconds at last", async () => {
    const page = waitingPage();
    await page.goOn(22);
    assert.deepEqual(page.looks, [1, 3, 6, 11, 16, 21]);
    assert.equal(page.streams.length, 0);
});

test("it looks as often as at first when something has moved", async () => {
    const page = waitingPage();
    await page.goOn(10);
    page.answer = () => true;
    await page.goOn(1);
    page.answer = CALM;
    await page.goOn(4);
    assert.deepEqual(page.looks, [1, 3, 6, 11, 12, 14]);
});

test("while changes are told it looks when one is, and three times a minute", async () => {
    const page = waitingPage({ wait: "/wait/1/events" });
    const stream = page.open();
    await page.goOn(60);
    assert.deepEqual(page.looks, [0, 20, 40, 60]);
    await page.goOn(7);
    stream.onmessage();
    await page.goOn(12);
    assert.deepEqual(page.looks.slice(4), [67]);
});

test("where nobody tells it looks ever less often, and asks for the stream again", async () => {
    const page = waitingPage({ wait: "/wait/1/events" });
    page.streams[0].readyState = 2;
    page.streams[0].onerror();
    await page.goOn(65);
    assert.deepEqual(page.looks, [1, 3, 6, 11, 19, 34, 49, 64]);
    assert.equal(page.streams.length, 2);
    page.open();
    await page.goOn(20);
    assert.deepEqual(page.looks.slice(8), [65, 85]);
});

test("when the stream breaks it looks at once, and then as where nobody tells", async () => {
    const page = waitingPage({ wait: "/wait/1/events" });
    const stream = page.open();
    await page.goOn(8);
    stream.readyState = 0;
    stream.onerror();
    stream.onerror();
    await page.goOn(6);
    assert.deepEqual(page.looks, [0, 8, 10, 13]);
    assert.equal(page.streams.length, 1, "the browser opens it again");
});

test("who says all the time that something changed is looked at once a second", async () => {
    const page = waitingPage({ wait: "/wait/1/events" });
    const stream = page.open();
    for (let tenth = 0; tenth < 100; tenth += 1) {
        stream.onmessage();
        await page.goOn(0.1);
    }
    assert.deepEqual(page.looks, [0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10].slice(0, page.looks.length));
    assert.ok(page.looks.length >= 10);
});

test("what changes while it looks is looked at, too", async () => {
    const page = waitingPage({ wait: "/wait/1/events" });
    const stream = page.open();
    page.answer = () => {
        page.answer = CALM;
        stream.onmessage();
        return false;
    };
    await page.goOn(5);
    assert.deepEqual(page.looks, [0, 1]);
});

test("after an answer that did not come it looks again soon, though it is told", async () => {
    const page = waitingPage({ wait: "/wait/1/events" });
    const stream = page.open();
    await page.goOn(5);
    page.answer = () => {
        throw new Error("no network");
    };
    stream.onmessage();
    await page.goOn(4);
    page.answer = CALM;
    await page.goOn(20);
    assert.deepEqual(page.looks, [0, 5, 8, 13]);
});

test("a page that nobody sees looks once a minute, and at once when it is seen", async () => {
    const page = waitingPage({ wait: "/wait/1/events" });
    const stream = page.open();
    await page.goOn(10);
    page.see("hidden");
    await page.goOn(125);
    assert.deepEqual(page.looks, [0, 70, 130]);
    stream.onmessage();
    await page.goOn(1);
    page.see("visible");
    await page.goOn(1);
    assert.deepEqual(page.looks.slice(3), [135, 136]);
});

test("it looks when the time is over", async () => {
    const page = waitingPage({ wait: "/wait/1/events", endsAt: 29 });
    page.open();
    await page.goOn(31);
    assert.deepEqual(page.looks, [0, 20, 30]);
});

test("when nothing is waited for any more it looks no more, and waits nowhere", async () => {
    const page = waitingPage({ wait: "/wait/1/events" });
    const stream = page.open();
    await page.goOn(1);
    page.answer = () => null;
    stream.onmessage();
    await page.goOn(1);
    page.see("hidden");
    page.see("visible");
    stream.onmessage();
    await page.goOn(300);
    assert.deepEqual(page.looks, [0, 1]);
    assert.equal(stream.readyState, 2);
    assert.equal(page.gone, 1);
});

test("who calls it off while it looks is led nowhere else", async () => {
    const page = waitingPage({ wait: "/wait/1/events" });
    const stream = page.open();
    let answered;
    page.answer = () => new Promise((resolve) => (answered = resolve));
    await page.goOn(1);
    page.looking.end();
    answered(null);
    await new Promise(setImmediate);
    stream.onmessage();
    await page.goOn(300);
    assert.deepEqual([page.looks, page.gone, stream.readyState], [[0], 0, 2]);
});

test("a page that was opened before the signer was asked is opened anew once he is", async () => {
    const gone = [];
    const heard = {};
    const answer = { verdict: "waiting", reached: 0, seconds: 0, status: "" };
    const looks = [];
    const context = vm.createContext({
        AbortSignal: {},
        addEventListener: (name, listener) => (heard[name] = listener),
        Date,
        document: {
            visibilityState: "visible",
            addEventListener: () => {},
            querySelectorAll: () => [],
        },
        fetch: async () => ({ status: 200, ok: true, json: async () => answer }),
        location: { replace: (address) => gone.push(address) },
        performance,
        setTimeout: (look) => looks.push(look),
        clearTimeout: () => {},
        page: {
            dataset: { state: "/state", over: "/wait" },
            querySelector: (what) => (what === "[data-left]" ? null : { textContent: "" }),
            querySelectorAll: () => [],
        },
    });
    vm.runInContext(`${SCRIPT}; live(page);`, context);
    await looks.at(-1)();
    assert.deepEqual(gone, []);
    answer.seconds = 300;
    await looks.at(-1)();
    assert.deepEqual(gone, ["/wait"]);
    assert.equal(looks.length, 2);
    assert.deepEqual(Object.keys(heard), ["submit"]);
});
