#include "postgres/pump.h"

#include <errno.h>
#include <poll.h>
#include <stdbool.h>
#include <unistd.h>

#include "cofre/plugin.h"

#define PIECE ((size_t)256 << 10)
/* ms between two looks at a pipe that had less than a piece. The programs write in small portions; whoever is woken for
 * each of them spends more time on that than on reading. The pipe holds 1 MiB. */
#define REST 1
#define IDLE 20 /* the same when there was nothing at all, several times */

/* Fill the lent buffer as far as it goes. false: stdout has ended. */
static bool fill(struct program *p, char *buffer, size_t *have, size_t room, int32_t *result, struct cofre_error *why)
{
    while (*have < room) {
        ssize_t n = read(p->out, buffer + *have, room - *have);
        if (n > 0)
            *have += (size_t)n;
        else if (n == 0)
            return false;
        else if (errno == EAGAIN)
            return true;
        else if (errno != EINTR) {
            *result = cofre_fail_errno(why, errno, "read what %s writes", p->name);
            return false;
        }
    }
    return true;
}

/* One piece, or what there is before the end. */
static int32_t pass_piece(struct pump *p, bool *more, int32_t *result, struct cofre_error *why,
                          struct cofre_error *error)
{
    void *buffer;
    size_t room = PIECE, have = 0, before;
    int idle = 0;
    int32_t status = cofre->reserve(p->call, &buffer, &room, error);
    if (status != COFRE_OK)
        return status;
    for (;;) {
        before = have;
        *more = fill(p->program, buffer, &have, room, result, why);
        program_listen(p->program);
        if (p->beside && *result == COFRE_OK)
            *result = p->beside(p->context, why);
        if (have == room || !*more || *result != COFRE_OK)
            break;
        status = cofre->cancelled(p->call, error);
        if (status != COFRE_OK)
            return status;
        idle = have > before ? 0 : idle + 1;
        poll(NULL, 0, idle > IDLE ? IDLE : REST);
    }
    if (p->look && have > 0 && *result == COFRE_OK)
        *result = p->look(p->context, buffer, have, why);
    return have > 0 ? cofre->commit(p->call, have, error) : COFRE_OK;
}

int32_t pump_run(struct pump *p, int32_t *result, struct cofre_error *why, struct cofre_error *error)
{
    bool more = true;
    int32_t status = COFRE_OK;
    *result = COFRE_OK;
    while (status == COFRE_OK && more && *result == COFRE_OK)
        status = pass_piece(p, &more, result, why, error);
    return status;
}
