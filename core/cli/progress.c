#include "cli/progress.h"

#include <pthread.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/error.h"
#include "base/file.h"
#include "base/log.h"
#include "base/text.h"
#include "worker/engine.h"

#define DRAW_EVERY 100 /* ms */
#define BAR_CELLS 20
#define PROGRESS_LINE_MAX 512

/* The log may be written by a worker's thread (--in-process) while the verb's thread draws. */
static pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;
static struct {
    bool active, shown;
    char stage[96];
    int64_t stage_began, drawn; /* ms */
    char line[PROGRESS_LINE_MAX];
} state;

static void format_rate(const struct engine_progress *progress, int64_t elapsed, char *out, size_t size)
{
    char rate[TEXT_SIZE_MAX], left[TEXT_ELAPSED_MAX];
    out[0] = '\0';
    if (elapsed < 1000 || progress->bytes == 0)
        return;
    double per_ms = (double)progress->bytes / (double)elapsed;
    int used = snprintf(out, size, "  %s/s", text_size((uint64_t)(per_ms * 1000), rate));
    if (progress->total_bytes > progress->bytes && used > 0 && (size_t)used < size) {
        double rest = (double)(progress->total_bytes - progress->bytes) / per_ms;
        snprintf(out + used, size - (size_t)used, "  %s left", text_elapsed((int64_t)rest, left));
    }
}

static void format_bar(const struct engine_progress *progress, char *out, size_t size)
{
    char done[TEXT_SIZE_MAX], total[TEXT_SIZE_MAX], bar[BAR_CELLS + 1];
    text_size(progress->bytes, done);
    if (progress->total_bytes == 0) {
        snprintf(out, size, "%s", done);
        return;
    }
    double part = (double)progress->bytes / (double)progress->total_bytes;
    part = part > 1 ? 1 : part;
    size_t full = (size_t)(part * BAR_CELLS);
    memset(bar, '.', BAR_CELLS);
    memset(bar, '#', full);
    bar[BAR_CELLS] = '\0';
    snprintf(out, size, "[%s] %3d%%  %s of %s", bar, (int)(part * 100), done, text_size(progress->total_bytes, total));
}

const char *progress_format(const struct engine_progress *progress, int64_t elapsed, size_t width, char *out,
                            size_t size)
{
    char stage[160], bar[96], rate[64], entries[48] = "";
    log_escape(progress->stage, strlen(progress->stage), stage, sizeof stage);
    format_bar(progress, bar, sizeof bar);
    format_rate(progress, elapsed, rate, sizeof rate);
    if (progress->entries)
        snprintf(entries, sizeof entries, "  %llu entries", (unsigned long long)progress->entries);
    int n = snprintf(out, size, "%s  %s%s%s", stage, bar, entries, rate);
    size_t length = n < 0 ? 0 : (size_t)n < size ? (size_t)n : size - 1;
    if (length > width)
        length = width;
    /* Not in the middle of a character. */
    while (length > 0 && ((unsigned char)out[length] & 0xc0) == 0x80)
        length--;
    out[length] = '\0';
    return out;
}

/* A terminal that cannot be written to shows nothing; that is no reason to stop. */
static void write_terminal(const char *text)
{
    struct error ignored;
    (void)file_write_all(STDERR_FILENO, text, strlen(text), "terminal", &ignored);
}

static void clear(void)
{
    if (state.shown)
        write_terminal("\r\033[K");
    state.shown = false;
}

static void draw(void)
{
    char text[PROGRESS_LINE_MAX + 8];
    snprintf(text, sizeof text, "\r%s\033[K", state.line);
    write_terminal(text);
    state.shown = true;
}

static void before_log(void)
{
    pthread_mutex_lock(&mutex);
    clear();
}

static void after_log(void)
{
    if (state.active && state.line[0])
        draw();
    pthread_mutex_unlock(&mutex);
}

static size_t terminal_width(void)
{
    struct winsize size;
    if (ioctl(STDERR_FILENO, TIOCGWINSZ, &size) < 0 || size.ws_col < 2)
        return 79;
    return size.ws_col - 1u;
}

static void update(void *context, const struct engine_progress *progress)
{
    (void)context;
    int64_t now = clock_monotonic();
    pthread_mutex_lock(&mutex);
    bool fresh = strncmp(state.stage, progress->stage, sizeof state.stage - 1) != 0;
    if (fresh) {
        snprintf(state.stage, sizeof state.stage, "%s", progress->stage);
        state.stage_began = now;
    }
    if (fresh || now - state.drawn >= DRAW_EVERY) {
        state.drawn = now;
        progress_format(progress, now - state.stage_began, terminal_width(), state.line, sizeof state.line);
        draw();
    }
    pthread_mutex_unlock(&mutex);
}

void progress_start(struct engine *engine)
{
    if (!isatty(STDERR_FILENO) || log_get_level() < LOG_NOTICE)
        return;
    state.active = true;
    log_set_hooks(before_log, after_log);
    engine->progress = update;
}

void progress_pause(void)
{
    if (!state.active)
        return;
    pthread_mutex_lock(&mutex);
    clear();
    state.line[0] = '\0';
    pthread_mutex_unlock(&mutex);
}

void progress_stop(void)
{
    if (!state.active)
        return;
    pthread_mutex_lock(&mutex);
    clear();
    state.active = false;
    state.line[0] = '\0';
    pthread_mutex_unlock(&mutex);
}
