#include "worker/notifier.h"

#include "base/error.h"
#include "worker/call.h"
#include "worker/retry.h"

struct telling {
    struct worker *w;
    const struct notifier_event *event;
};

static int try_once(void *context, struct error *e)
{
    const struct telling *t = context;
    const struct notifier_event *v = t->event;
    struct bytes *b = call_arguments(t->w);
    bytes_put_u32(b, (uint32_t)v->level);
    bytes_put_u64(b, (uint64_t)v->time);
    const char *const texts[] = {v->id, v->event, v->host, v->job, v->sink, v->title, v->text, v->json};
    for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++)
        wire_put_string(b, texts[i] ? texts[i] : "");
    return call_simple(t->w, WIRE_NOTIFY, e);
}

int notifier_notify(struct worker *notifier, const struct notifier_event *event, int64_t patience, struct error *e)
{
    struct telling telling = {.w = notifier, .event = event};
    return retry_run(patience, try_once, &telling, e);
}
