/* A notifier with one bad habit, which its option chooses. */
#include <signal.h>
#include <stdlib.h>

#include "cofre/plugin.h"

struct conf {
    int32_t fault;
};

enum { HANG, DEAF, CRASH, EXIT, NONSENSE, FLOOD, MUTE, OPEN, ENTRY };

static const struct cofre_option rows[] = {
    COFRE_OPTION_CHOICE(struct conf, fault, COFRE_O_REQUIRED, NULL,
                        "hang|deaf|crash|exit|nonsense|flood|mute|open|entry", "what it does wrong"),
};

static int32_t do_open(struct cofre_call *call, const void *conf, void **instance, struct cofre_error *error)
{
    (void)call;
    memcpy(instance, &conf, sizeof conf);
    return ((const struct conf *)conf)->fault == OPEN ? cofre_fail(error, COFRE_E_CONFIG, "it does not open")
                                                      : COFRE_OK;
}

static void do_close(void *instance)
{
    (void)instance;
}

static int32_t do_check(void *instance, struct cofre_call *call, int32_t depth, struct cofre_error *error)
{
    (void)instance, (void)call, (void)depth, (void)error;
    return COFRE_OK;
}

static int32_t hang(struct cofre_call *call, struct cofre_error *error)
{
    return cofre->pause(call, INT64_MAX, error);
}

static int32_t do_notify(void *instance, struct cofre_call *call, const struct cofre_event *event,
                         struct cofre_error *error)
{
    const struct conf *conf = instance;
    struct cofre_entry entry = {.struct_size = sizeof entry, .kind = COFRE_FILE, .path = event->title};
    switch (conf->fault) {
    case HANG:
        return hang(call, error);
    case DEAF:
        for (;;)
            pause();
    case CRASH:
        raise(SIGSEGV);
        return COFRE_OK;
    case EXIT:
        exit(0);
    case NONSENSE:
        return 7000;
    case FLOOD:
        for (int i = 0; i < 100000; i++)
            cofre->log(call, COFRE_LOG_WARNING, event->text);
        return cofre_fail(error, COFRE_E_DENIED, "not today");
    case MUTE:
        return COFRE_E_PERMANENT;
    default:
        return cofre->entry(call, &entry, error);
    }
}

static const struct cofre_notifier notifier = {
    .struct_size = sizeof notifier, .open = do_open, .close = do_close, .check = do_check, .notify = do_notify};

static const struct cofre_plugin plugin = {
    .struct_size = sizeof plugin,
    .api_level = COFRE_API_LEVEL,
    .name = "faulty-notifier",
    .version = "1",
    .summary = "a notifier with a bad habit",
    .license = "MIT",
    .example = "fault = hang\n",
    .options = COFRE_OPTIONS(struct conf, rows),
    .notifier = &notifier,
};

COFRE_PLUGIN(plugin)
