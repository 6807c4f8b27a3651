// The served page asks podshare on this machine whether anything is different, and shows it in the place of what it has.
(() => {
  const EVERY = 5000; // milliseconds
  const SHOWN_AGAIN = 60000; // after so long ages are shown again, though nothing else is different
  let digest = document.currentScript.dataset.digest;
  let busy = false;
  let last = "it was made";
  const state = element("p", { class: "soft", id: "live" }, "Renews itself while podshare serves it.");
  document.getElementById("about").after(state);

  async function ask() {
    const answer = await fetch(`/facts?digest=${digest}`, { cache: "no-store" }).catch(() => { throw new Error("podshare serves it no more"); });
    if (!answer.ok) throw new Error((await answer.text()).trim());
    return answer.json();
  }

  async function look() {
    if (busy || document.hidden) return;
    busy = true;
    try {
      const news = await ask();
      digest = news.digest;
      if (news.facts) renew(news.facts);
      else if (instant(news.generated) - instant(facts.generated) >= SHOWN_AGAIN) renew({ ...facts, generated: news.generated });
      last = `${utc(instant(news.generated)).slice(11)} UTC`;
      state.className = "soft";
      state.textContent = `Renews itself; read again at ${last}.`;
    } catch (problem) {
      state.className = "bad";
      state.textContent = `Not renewed since ${last}: ${problem.message}`;
    } finally {
      busy = false;
    }
  }

  setInterval(look, EVERY);
  document.addEventListener("visibilitychange", look);
})();
