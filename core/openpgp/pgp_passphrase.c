#include "openpgp/pgp_passphrase.h"

#include "base/error.h"
#include "openpgp/pgp.h"

int pgp_passphrase_check(const uint8_t *p, size_t n, const char *name, struct error *e)
{
    if (!p)
        return 0;
    if (n == 0 || n > PGP_PASSPHRASE_MAX)
        return error_set(e, ERROR_CONFIG, n == 0 ? "'%s' is empty" : "'%s' has more than %d bytes", name,
                         PGP_PASSPHRASE_MAX);
    for (size_t i = 0; i < n; i++) {
        if (p[i] >= ' ' && p[i] != 0x7f)
            continue;
        error_set(e, ERROR_CONFIG, p[i] == '\n' ? "'%s' has more than one line" : "'%s' holds a control character",
                  name);
        return error_hint(e, "write one line of text, without an empty line after it%s",
                          p[i] == '\r' ? "; here it ends as lines do on Windows" : "");
    }
    return 0;
}
