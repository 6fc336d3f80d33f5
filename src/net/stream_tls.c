/* SPDX-License-Identifier: BSD-2-Clause */
#include "net/stream_tls.h"

#include <openssl/err.h>
#include <openssl/ssl.h>

#include "base/buf.h"
#include "net/stream.h"

/* What earlier calls left behind would be taken for the next one's. To look is cheaper than to clear. */
static void
forget_errors(void)
{
    if (ERR_peek_error() != 0)
        ERR_clear_error();
}

/* What a result <= 0 of an SSL function means. */
static int
classify(SSL *ssl, int result, enum stream_want *want)
{
    switch (SSL_get_error(ssl, result)) {
    case SSL_ERROR_WANT_READ:
        *want = STREAM_WANT_READ;
        return STREAM_AGAIN;
    case SSL_ERROR_WANT_WRITE:
        *want = STREAM_WANT_WRITE;
        return STREAM_AGAIN;
    case SSL_ERROR_ZERO_RETURN:
        return STREAM_END;
    default:
        return STREAM_BROKEN;
    }
}

ssize_t
stream_tls_read(SSL *ssl, void *data, size_t len, enum stream_want *want)
{
    size_t n;

    forget_errors();
    *want = STREAM_WANT_NOTHING;
    if (SSL_read_ex(ssl, data, len, &n) == 1)
        return (ssize_t)n;
    return classify(ssl, 0, want);
}

ssize_t
stream_tls_write(SSL *ssl, const void *data, size_t len, enum stream_want *want)
{
    size_t n;
    int result;

    forget_errors();
    *want = STREAM_WANT_NOTHING;
    if (SSL_write_ex(ssl, data, len < BUF_BLOCK ? len : BUF_BLOCK, &n) == 1)
        return (ssize_t)n;
    result = classify(ssl, 0, want);
    return result == STREAM_END ? STREAM_BROKEN : result;
}

int
stream_tls_handshake(SSL *ssl, enum stream_want *want)
{
    int result;

    forget_errors();
    *want = STREAM_WANT_NOTHING;
    result = SSL_do_handshake(ssl);
    if (result == 1)
        return 1;
    result = classify(ssl, result, want);
    return result == STREAM_END ? STREAM_BROKEN : result;
}

int
stream_tls_shutdown(SSL *ssl, enum stream_want *want)
{
    int result;

    forget_errors();
    *want = STREAM_WANT_NOTHING;
    if (SSL_in_init(ssl)) /* nothing was said yet that could be ended */
        return 1;
    result = SSL_shutdown(ssl);
    if (result >= 0) /* 0: sent, the peer's has not come; it is not waited for */
        return 1;
    result = classify(ssl, result, want);
    return result == STREAM_END ? 1 : result;
}
