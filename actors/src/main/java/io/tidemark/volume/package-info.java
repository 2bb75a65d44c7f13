/** The volume entity. */
package io.tidemark.volume;
