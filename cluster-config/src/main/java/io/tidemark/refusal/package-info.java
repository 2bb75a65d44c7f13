/**
 * Expected refusals: one table of stable codes from which HTTP status, CLI exit code and NBD errno
 * all derive, and the exception that carries one with a sentence that helps.
 */
package io.tidemark.refusal;
