/**
 * The command line: asks a node over HTTP and shows the answer, as tables for people or as JSON for
 * programs. It loads neither Akka nor anything else that a second's start would not allow.
 *
 * <p>Invariants:
 *
 * <ol>
 *   <li>L1 The exit code derives from the error code alone: 0 done, 1 failed, 2 usage, 3 refused, 4
 *       not found, 5 unreachable.
 *   <li>L2 Standard output carries the answer only; progress, hints and errors go to standard
 *       error.
 *   <li>L3 With {@code --json} standard output is one JSON document, or one a line for {@code
 *       events}: the node's answer as it came.
 * </ol>
 */
package io.tidemark.cli;
