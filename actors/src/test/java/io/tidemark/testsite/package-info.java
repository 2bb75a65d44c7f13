/**
 * A site in one JVM for tests: several actor systems over one journal, snapshot store, segment
 * store and index in memory, named by a "world", each with faults to inject.
 */
package io.tidemark.testsite;
